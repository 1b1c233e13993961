"""Documents at https addresses: fetched once from a server that runs here, and refused where a stranger could pry."""

import hashlib
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
from functools import partial
from typing import ClassVar

import pytest

from homeroom.core.config import Documents
from homeroom.core.errors import ContentError, MachineError, RefusedError
from homeroom.core.types import Leaf, Source
from homeroom.documents import read, web
from homeroom.documents.web import Trust, fetch_url

BOOK = b"# Boats\n\nBoats are red.\n"
HERE = Trust(private=True, plain=True)


class Pages(http.server.BaseHTTPRequestHandler):
    """A few answers by path; `asked` counts."""

    asked: list[str]
    pages: ClassVar[dict] = {
        "/book.md": (200, "text/plain; charset=utf-8", BOOK),
        "/page": (200, "text/html", b"<h1>Hi</h1>"),
        "/film.md": (200, "video/mp4", b"x"),
        "/away.md": (302, "/book.md", b""),
        "/round": (302, "/round", b""),
        "/inside.md": (302, "https://169.254.169.254/latest/a.md", b""),
        "/down.md": (302, "http://example.org/a.md", b""),
        "/file.md": (302, "file:///etc/passwd", b""),
    }

    def do_GET(self):
        self.server.asked.append(f"{self.headers['Host']} {self.path}")
        status, kind, content = self.pages.get(self.path, (404, "text/plain", b""))
        self.send_response(status)
        self.send_header("Location" if status == 302 else "Content-Type", kind)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()
        thread.join()


def test_a_document_is_fetched_once_pinned_and_then_needs_no_network(server, tmp_path):
    path = fetch_url(f"{server.url}/book.md", tmp_path, max_bytes=1000, trust=HERE)
    assert (path.read_bytes(), path.suffix) == (BOOK, ".md")
    facts = json.loads((path.parent / "source.json").read_text())
    assert facts["sha256"] == hashlib.sha256(BOOK).hexdigest()
    again = fetch_url(f"{server.url}/book.md", tmp_path, max_bytes=1000, trust=HERE, offline=True)
    assert again == path
    assert len(server.asked) == 1
    path.write_bytes(b"damaged")
    assert fetch_url(f"{server.url}/book.md", tmp_path, max_bytes=1000, trust=HERE).read_bytes() == BOOK


def test_the_type_that_the_server_says_decides_the_format_and_redirects_are_followed(server, tmp_path):
    assert fetch_url(f"{server.url}/page", tmp_path, max_bytes=1000, trust=HERE).suffix == ".html"
    assert fetch_url(f"{server.url}/away.md", tmp_path, max_bytes=1000, trust=HERE).read_bytes() == BOOK


@pytest.mark.parametrize(
    ("path", "more", "says"),
    [
        ("/gone.md", {}, "answered 404"), ("/film.md", {}, "video/mp4"), ("/round", {}, "redirects more than 5"),
        ("/book.md", {"max_bytes": 5}, "larger than"), ("/book.md", {"sha256": "0" * 64}, "its sha256 is"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_document_is_refused_and_nothing_is_left(server, tmp_path, path, more, says):
    with pytest.raises(ContentError, match=says) as error:
        fetch_url(f"{server.url}{path}", tmp_path, **({"max_bytes": 1000} | more), trust=HERE)
    assert error.value.exit_code == 3
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_without_the_network_or_offline_the_message_says_what_to_do(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MachineError, match="could not be fetched") as error:
        fetch_url(f"http://127.0.0.1:{port}/a.md", tmp_path, max_bytes=9, trust=HERE)
    assert error.value.exit_code == 4
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    with pytest.raises(MachineError, match="HOMEROOM_OFFLINE is set"):
        fetch_url("https://example.org/a.md", tmp_path, max_bytes=9)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.md", "file:///etc/passwd", "gopher://example.org/a.md", "https://user:word@example.org/a",
        "https://example.org\\@127.0.0.1/a.md", "https:///a.md", "https://example.org/a b.md", "ftp://example.org/a.md",
        "https://[::1", "https://example.org:99999/a.md", "", "https://exa\u0301mple.org/a.md",
    ],
)  # fmt: skip
def test_20_an_address_that_is_not_plain_https_is_refused(tmp_path, url):
    with pytest.raises(RefusedError) as error:
        fetch_url(url, tmp_path, max_bytes=9)
    assert error.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "169.254.169.254", "0x7f000001", "2130706433", "10.0.0.1", "192.168.1.1", "0.0.0.0",
     "[::ffff:127.0.0.1]", "[fd00::1]", "[2002:7f00:1::]", "localhost", "224.0.0.1"],
)  # fmt: skip
def test_20_an_address_of_this_machine_or_a_private_network_is_refused(tmp_path, host):
    with pytest.raises((RefusedError, MachineError), match=r"not public|cannot be looked up") as error:
        fetch_url(f"https://{host}/a.md", tmp_path, max_bytes=9)
    assert isinstance(error.value, RefusedError) or host not in ("127.0.0.1", "[::1]", "localhost", "169.254.169.254")


@pytest.mark.parametrize("path", ["/inside.md", "/file.md"])
def test_20_a_redirect_is_checked_like_the_first_address(server, tmp_path, path, monkeypatch):
    real = web._addresses
    checked = []

    def addresses(host, port, trust, url):  # the first address may be private, as in a test; those after it may not
        checked.append(host)
        return real(host, port, HERE if len(checked) == 1 else Trust(), url)

    monkeypatch.setattr(web, "_addresses", addresses)
    with pytest.raises(RefusedError, match=r"not public|not an https address"):
        fetch_url(f"{server.url}{path}", tmp_path, max_bytes=999, trust=HERE)


def test_20_a_redirect_from_https_to_http_is_refused():
    with pytest.raises(RefusedError, match="not an https address"):
        web._request(None, "http://example.org/a.md", Trust(private=True))


def test_20_the_connection_goes_to_the_number_that_was_checked_and_the_name_is_still_proved(tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    made += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=book.example"]
    subprocess.run([*made, "-addext", "subjectAltName=DNS:book.example"], check=True, capture_output=True)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        running.asked = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        looked_up = []

        def lookup(host, port, *_, **__):
            looked_up.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(web.socket, "getaddrinfo", lookup)
        trust = Trust(private=True, certificates=ssl.create_default_context(cafile=certificate))
        url = f"https://book.example:{running.server_port}/book.md"
        assert fetch_url(url, tmp_path / "kept", max_bytes=999, trust=trust).read_bytes() == BOOK
        assert running.asked == [f"book.example:{running.server_port} /book.md"]
        assert looked_up == ["book.example", "127.0.0.1"]
        with pytest.raises(MachineError, match="could not be fetched"):  # another name than the certificate's
            fetch_url(url.replace("book.", "other."), tmp_path / "kept", max_bytes=999, trust=trust)
        running.shutdown()
        thread.join()


def test_a_leaf_may_name_a_document_on_the_web(server, tmp_path, monkeypatch):
    folder = tmp_path / "knowledge/boats"
    folder.mkdir(parents=True)
    source = Source(repo="https://boats.example/book.md", patterns=("*",))
    leaf = Leaf(path="knowledge/boats", kind="knowledge", seeds=(), source=source)

    def fetch(url, where, **more):
        return fetch_url(url.replace("https://boats.example", server.url), where, **more, trust=HERE)

    monkeypatch.setattr(read, "fetch_url", fetch)
    (document,) = read.read_documents([leaf], tmp_path, config=Documents(), cache=tmp_path / "cache")
    assert (document.name, document.title, document.text) == ("https://boats.example/book.md", "Boats", BOOK.decode())
    assert document.sha256 == hashlib.sha256(BOOK).hexdigest()


def test_addresses_beside_files_are_fetched_and_one_that_fails_leaves_the_others(server, tmp_path, monkeypatch):
    monkeypatch.setattr(read, "fetch_url", partial(fetch_url, trust=HERE))
    folder = tmp_path / "knowledge/boats"
    folder.mkdir(parents=True)
    (folder / "own.md").write_text("# Own\n\nOurs are blue.\n")
    good, bad = f"{server.url}/book.md", f"{server.url}/gone.md"

    def leaf(*urls):
        return Leaf(
            path="knowledge/boats", kind="knowledge", seeds=(), source=Source(repo=".", patterns=("own.md",), urls=urls)
        )

    found = read.read_documents([leaf(good)], tmp_path, config=Documents(), cache=tmp_path / "cache")
    assert [d.name for d in found] == ["own.md", good]
    with pytest.raises(ContentError, match=r"gone\.md"):
        read.read_documents([leaf(bad, good)], tmp_path, config=Documents(), cache=tmp_path / "cache")
