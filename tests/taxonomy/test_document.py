"""`document`: every form that is read, and every address that is refused."""

import pytest
from qna_files import KNOWLEDGE, put

from homeroom.core.files import from_json, to_json
from homeroom.core.types import Source
from homeroom.taxonomy.document import address_fault
from homeroom.taxonomy.read import read_taxonomy


def read(course, document):
    put(course, KNOWLEDGE.replace("document: boats.md\n", f"document: {document}\n"))
    taxonomy = read_taxonomy(course)
    return taxonomy.leaves[0].source if taxonomy.leaves else [(p.code, p.message) for p in taxonomy.problems]


URL = "https://example.org/handbook.pdf"


@pytest.mark.parametrize(
    ("document", "source"),
    [
        ("notes", Source(repo=".", patterns=("notes",))),
        ("[a.md, b.pdf, docs/*.txt]", Source(repo=".", patterns=("a.md", "b.pdf", "docs/*.txt"))),
        (URL, Source(repo=".", patterns=(), urls=(URL,))),
        (f"[a.md, {URL}]", Source(repo=".", patterns=("a.md",), urls=(URL,))),
        (
            f"\n  - {{url: '{URL}', licence: MIT}}\n  - {{path: a.md, license: CC-BY-4.0}}\n  - b.docx",
            Source(repo=".", patterns=("a.md", "b.docx"), urls=(URL,), licences=((URL, "MIT"), ("a.md", "CC-BY-4.0"))),
        ),
        ("{path: a.md, licence: MIT}", Source(repo=".", patterns=("a.md",), licences=(("a.md", "MIT"),))),
        ("{repo: ../docs, commit: x, patterns: [a]}", Source(repo="../docs", commit="x", patterns=("a",))),
    ],
)
def test_each_form_of_document_is_read(tmp_path, document, source):
    assert read(tmp_path, document) == source
    assert from_json(Source, to_json(source)) == source


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://example.org/a.pdf", "not encrypted"),
        ("https://me:secret@example.org/a.pdf", "user name or password"),
        ("https://me@example.org/a.pdf", "user name or password"),
        ("ftp://example.org/a", "ftp: is not a kind of address"),
        ("file:///etc/passwd", "file: is not a kind of address"),
        ("javascript:alert(1)", "javascript: is not a kind of address"),
        ("ext::sh -c x", "ext: is not a kind of address"),
        ("https:///a.pdf", "names no machine"),
        ("https://localhost/a.pdf", "private network"),
        ("https://127.0.0.1/a", "private network"),
        ("https://[::1]/a", "private network"),
        ("https://169.254.169.254/latest", "private network"),
        ("https://0x7f000001/a", "private network"),
        ("https://127.1/a", "private network"),
        ("https://example.org:99999/a", "not an address"),
        ("https://example.org\\@evil.org/a", "backslash"),
        ("https://example.org/a b.pdf", "a space"),
        ("https://github.com/a/b.git", "is a repository"),
    ],
)
def test_addresses_that_are_not_read_are_refused_in_plain_words(tmp_path, address, why):
    found = read(tmp_path, f"'{address}'")
    assert [code for code, _ in found] == ["document"]
    assert why in found[0][1]
    assert "secret" not in found[0][1]
    assert address_fault(address)[1]


@pytest.mark.parametrize(
    ("document", "codes"),
    [
        ("[a.md, a.md]", ["duplicate"]),
        ("[]", ["too-few"]),
        ("[{licence: MIT}]", ["missing-key"]),
        ("[{path: a, url: b}]", ["missing-key"]),
        ("[{path: a, licens: MIT}]", ["unknown-key"]),
        ("[7]", ["type"]),
        ("[{path: a, licence: 4}]", ["type"]),
        ("[{url: notes.md}]", ["document"]),
        ("{path: ../../x}", ["document"]),
        ("true", ["type"]),
    ],
)
def test_what_is_no_document_is_an_error(tmp_path, document, codes):
    assert [code for code, _ in read(tmp_path, document)] == codes
