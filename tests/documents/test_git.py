"""A real repository, read without ever being checked out; addresses that mean harm, refused before git sees them."""

import os
import subprocess

import pytest

import homeroom.documents.git
from homeroom.core.errors import ContentError, HomeroomError
from homeroom.documents.git import check_address, open_commit, read_blobs


def git(folder, *arguments):
    who = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "protocol.file.allow=always",
    ]
    done = subprocess.run(["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "docs").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "docs/a.md").write_text("# First\n")
    (folder / "docs/b ü.md").write_text("# B\n")
    os.symlink("/etc/passwd", folder / "docs/link.md")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


def test_a_commit_is_read_without_links_and_later_commits_do_not_change_it(repository, tmp_path):
    address, cache = f"file://{repository}", tmp_path / "cache"
    first = git(repository, "rev-parse", "HEAD")
    (repository / "docs/a.md").write_text("# Second\n")
    git(repository, "commit", "-qam", "two")
    old, new = open_commit(address, first, cache=cache), open_commit(address, "main", cache=cache)
    assert sorted(old.blobs) == ["docs/a.md", "docs/b ü.md"]
    assert read_blobs(old, ["docs/a.md"], max_bytes=100) == {"docs/a.md": b"# First\n"}
    assert read_blobs(new, ["docs/a.md", "docs/b ü.md"], max_bytes=100)["docs/a.md"] == b"# Second\n"
    assert len(list((cache / "git").iterdir())) == 1


def test_a_commit_that_is_in_the_cache_needs_no_repository_and_a_new_one_is_fetched(repository, tmp_path):
    address, cache = f"file://{repository}", tmp_path / "cache"
    first = git(repository, "rev-parse", "HEAD")
    read_blobs(open_commit(address, first, cache=cache), ["docs/a.md"], max_bytes=100)
    (repository / "docs/c.md").write_text("# C\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    second = git(repository, "rev-parse", "HEAD")
    assert "docs/c.md" in open_commit(address, second, cache=cache).blobs
    repository.rename(tmp_path / "gone")
    again = open_commit(address, first[:12], cache=cache)
    assert read_blobs(again, ["docs/a.md"], max_bytes=100) == {"docs/a.md": b"# First\n"}


def test_a_missing_commit_or_repository_is_said_plainly(repository, tmp_path):
    address, cache = f"file://{repository}", tmp_path / "cache"
    for commit in ("0" * 40, "no-such-branch"):
        with pytest.raises(ContentError, match=f"has no commit {commit}"):
            open_commit(address, commit, cache=cache, where="knowledge/a/qna.yaml")
    with pytest.raises(HomeroomError, match="git cannot"):
        open_commit(f"file://{tmp_path}/none", "main", cache=cache)
    assert [p.name for p in (cache / "git").iterdir() if p.name.startswith(".")] == []


def test_hooks_of_a_repository_and_of_a_template_do_not_run(repository, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    template = tmp_path / "template/hooks"
    template.mkdir(parents=True)
    for folder in (template, repository / ".git/hooks"):
        for name in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"):
            (folder / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
            (folder / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[init]\ntemplateDir = {tmp_path}/template\n[core]\nhooksPath = {template}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    config.rename(tmp_path / ".gitconfig")
    assert open_commit(f"file://{repository}", "main", cache=tmp_path / "cache").blobs
    assert not ran.exists()


def test_a_file_over_the_limit_is_not_read_whole(repository, tmp_path):
    (repository / "docs/big.md").write_text("x" * 10_000)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "big")
    commit = open_commit(f"file://{repository}", "main", cache=tmp_path / "cache")
    assert len(read_blobs(commit, ["docs/big.md"], max_bytes=100)["docs/big.md"]) == 101


@pytest.mark.parametrize(
    "address",
    [
        "--upload-pack=touch /tmp/x", "-u", "ext::sh -c touch% /tmp/x", "file::x",
        "http://a.org/b.git", "git://a.org/b",
        "ssh://-oProxyCommand=x/y", "-oProxyCommand@host:x", "git@-oProxyCommand=x:y", "https://user:word@a.org/b.git",
        "https://token@a.org/b.git", "https:///b", "https://a.org/b\n--x", "https://a.org/b c",
        "https://[::1", "fd::17",
        "git@a.org:-x", "ftp://a.org/x", "https://a.org/" + "x" * 2000, "ssh://a.org/-x", "file://x\0y", "",
    ],
)  # fmt: skip
def test_an_address_that_could_mean_harm_is_refused(tmp_path, address):
    with pytest.raises(ContentError):
        open_commit(address, "main", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "commit", ["--output=x", "-x", "", "a b", "a..b", "main:docs", "@{-1}", "x^", "HEAD~1", "a\nb", "x" * 300]
)
def test_a_commit_that_could_mean_harm_is_refused(repository, tmp_path, commit):
    with pytest.raises(ContentError, match="is not a hash, branch or tag"):
        open_commit(f"file://{repository}", commit, cache=tmp_path / "cache")


def bundle_of_trees(folder, entries):
    """Write a commit whose tree says what git's own commands refuse to say; return its hash."""
    import hashlib
    import zlib

    def put(kind, body):
        raw = f"{kind} {len(body)}".encode() + b"\0" + body
        name = hashlib.sha1(raw).hexdigest()
        path = folder / ".git/objects" / name[:2] / name[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(raw))
        return name

    blob = put("blob", b"text\n")
    tree = put("tree", b"".join(mode + b" " + name + b"\0" + bytes.fromhex(blob) for mode, name in entries))
    who = "a <a@b> 1 +0000"
    commit = put("commit", f"tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n".encode())
    git(folder, "update-ref", "refs/heads/evil", commit)
    return commit


def test_27_options_commands_and_other_transports_are_refused_with_exit_3(tmp_path):
    for address in ("ext::sh -c x", "fd::17", "-u/x", "--upload-pack=x", "-c core.sshCommand=x"):
        with pytest.raises(ContentError) as error:
            open_commit(address, "main", cache=tmp_path)
        assert error.value.exit_code == 3
    with pytest.raises(ContentError, match="not one of: https, ssh"):
        open_commit(f"file://{tmp_path}", "main", cache=tmp_path, protocols=("https", "ssh"))
    assert list(tmp_path.iterdir()) == []


def test_27_a_remote_helper_that_a_configuration_names_is_not_run(repository, tmp_path, monkeypatch):
    """A trusted-looking address that the person's own git rewrites to `ext::` is still refused, by git itself."""
    ran = tmp_path / "ran"
    (tmp_path / ".gitconfig").write_text(f'[url "ext::touch {ran} #"]\n\tinsteadOf = https://example.org/\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HomeroomError):
        open_commit("https://example.org/b.git", "main", cache=tmp_path / "cache")
    assert not ran.exists()


def test_28_and_29_submodules_links_and_names_of_gits_own_files_are_nothing_but_names(repository, tmp_path):
    entries = [
        (b"120000", b".gitmodules"), (b"100644", b"..\\x.md"), (b"160000", b"-module"), (b"120000", b"link.md"),
        (b"100644", b"git~1"), (b"100644", b"ok.md"),
    ]  # fmt: skip
    commit = bundle_of_trees(repository, sorted(entries, key=lambda e: e[1]))
    try:
        found = open_commit(f"file://{repository}", commit, cache=tmp_path / "cache")
    except ContentError:
        return  # some versions of git refuse to send such a tree at all
    assert sorted(found.blobs) == ["..\\x.md", "git~1", "ok.md"]
    assert read_blobs(found, ["ok.md"], max_bytes=99) == {"ok.md": b"text\n"}
    assert not list((tmp_path / "cache").rglob("*.md"))


def test_30_a_repository_over_the_limit_is_refused(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(homeroom.documents.git, "MAX_PACK_BYTES", 20_000)
    (repository / "docs/big.md").write_bytes(os.urandom(100_000))
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "big")
    with pytest.raises(ContentError, match="larger than 20,000 bytes"):
        open_commit(f"file://{repository}", "main", cache=tmp_path / "cache")


def test_31_only_one_commit_is_fetched_and_nothing_is_shared_with_the_repository(repository, tmp_path):
    (repository / "docs/a.md").write_text("# Second\n")
    git(repository, "commit", "-qam", "two")
    head = git(repository, "rev-parse", "HEAD")
    commit = open_commit(f"file://{repository}", head, cache=tmp_path / "cache")
    assert git(commit.clone, "rev-list", "--count", head) == "1"
    assert all(path.stat().st_nlink == 1 for path in commit.clone.rglob("*") if path.is_file())
    assert not (commit.clone / "objects/info/alternates").exists()
    again = open_commit(f"file://{repository}", head[:10], cache=tmp_path / "cache2")  # needs the whole history
    assert again.hash == head


def test_35_a_file_name_that_a_shell_would_run_is_only_a_name(repository, tmp_path):
    ran = tmp_path / "ran"
    name = f"docs/$(touch {ran.name}); `id`\n-rf.md"
    (repository / name).write_text("# Odd\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "odd")
    commit = open_commit(f"file://{repository}", "main", cache=tmp_path / "cache")
    assert read_blobs(commit, [name], max_bytes=99) == {name: b"# Odd\n"}
    assert not ran.exists()


def test_protocols_can_be_narrowed(repository, tmp_path):
    for address in ("https://github.com/a/b.git", "git@github.com:a/b.git", "ssh://git@github.com/a/b.git"):
        check_address(address)
    with pytest.raises(ContentError, match="not one of: https"):
        open_commit(f"file://{repository}", "main", cache=tmp_path / "cache", protocols=("https",))
