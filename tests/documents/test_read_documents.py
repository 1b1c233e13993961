"""Which files become documents, and every fault of every leaf at once."""

import os
import subprocess

import pytest
from documents.made import pdf

from homeroom.core.config import Documents
from homeroom.core.errors import ContentError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Chunk, Document, Leaf, Source
from homeroom.documents.read import hash_sources, read_documents
from homeroom.documents.stage import make_documents

TEXT = "# Boats\n\nBoats are red, and they have been red for as long as anybody can say.\n"


def leaf(name="boats", repo=".", patterns=("*",), commit="local", kind="knowledge"):
    source = Source(repo=repo, commit=commit, patterns=tuple(patterns)) if kind == "knowledge" else None
    return Leaf(path=f"knowledge/{name}", kind=kind, seeds=(), source=source)


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course/knowledge/boats"
    (folder / "more").mkdir(parents=True)
    for name, text in {
        "boats.md": TEXT,
        "more/sails.txt": "Sails are white.",
        "qna.yaml": "version: 3",
        "attribution.txt": "-",
    }.items():
        (folder / name).write_text(text)
    return tmp_path / "course"


def names(course, *leaves, **config):
    found = read_documents(leaves, course, config=Documents(**config), cache=course / "out/cache")
    return [(d.leaf, d.name) for d in found]


def test_a_folder_a_wildcard_and_a_name_choose_files_but_never_the_leafs_own(course):
    for patterns, wanted in {
        ("*",): ["boats.md"],
        ("**/*",): ["boats.md", "more/sails.txt"],
        (".",): ["boats.md", "more/sails.txt"],
        ("more", "boats.md"): ["more/sails.txt", "boats.md"],
        ("boats.md", "*.md"): ["boats.md"],
    }.items():
        assert [name for _, name in names(course, leaf(patterns=patterns))] == wanted


def test_a_document_has_normalised_text_a_title_and_the_hash_of_its_file(course):
    (course / "knowledge/boats/boats.md").write_bytes(TEXT.replace("\n", "\r\n").encode())
    (document,) = read_documents([leaf()], course, config=Documents(), cache=course / "out")
    assert (document.text, document.title, len(document.sha256), len(document.id)) == (TEXT, "Boats", 64, 12)


def test_the_hash_of_sources_is_of_the_files_that_are_read(course, tmp_path):
    shared = tmp_path / "shared" / "handbook.md"
    shared.parent.mkdir()
    shared.write_text(TEXT)
    (tmp_path / ".git").mkdir()  # course and handbook are in one repository
    os.symlink(shared, course / "knowledge/boats/linked.md")
    every = [leaf(patterns=["*.md", "attribution.txt", "."])]
    assert ("knowledge/boats", "linked.md") in names(course, leaf(patterns=["*.md"]))
    first = hash_sources(every, course)
    (course / "knowledge/boats/attribution.txt").write_text("License of the work: MIT")  # no document
    assert hash_sources(every, course) == first
    shared.write_text(TEXT + "\nBoats float.\n")
    assert hash_sources(every, course) != first
    (tmp_path / ".git").rmdir()
    with pytest.raises(ContentError, match="outside"):
        hash_sources(every, course)
    assert hash_sources([leaf(repo="https://example.org/a.git")], course) == hash_sources([], course)


def test_two_leaves_that_name_one_file_have_a_document_each(course):
    (course / "knowledge/other").mkdir()
    found = read_documents(
        [leaf(), leaf("other", repo="../boats", patterns=["boats.md"]), leaf("skill", kind="freeform_skill")],
        course, config=Documents(), cache=course / "out",
    )  # fmt: skip
    assert [(d.leaf, d.name) for d in found] == [("knowledge/boats", "boats.md"), ("knowledge/other", "boats.md")]
    assert found[0].id != found[1].id


def test_all_faults_of_all_leaves_are_raised_at_once(course, tmp_path):
    folder = course / "knowledge/boats"
    (folder / "empty.md").write_text("\n")
    (folder / "junk.txt").write_bytes(b"\0\1\2" * 50)
    (folder / "book.xlsx").write_bytes(b"PK")
    (tmp_path / "secret.md").write_text("secret")
    os.symlink(tmp_path / "secret.md", folder / "out.md")
    leaves = [
        leaf(patterns=["empty.md", "junk.txt", "book.xlsx", "gone.md", "*.pdf", "out.md", "../x", "boats.md"]),
        leaf(repo="../../.."),
        leaf(repo="ext::sh"),
    ]
    with pytest.raises(ContentError) as error:
        names(course, *leaves)
    for text in (
        "9 documents",
        "no word",
        "binary",
        ".xlsx cannot",
        "matches gone.md",
        "matches *.pdf",
        "link that",
        "'../x'",
    ):
        assert text in error.value.message
    assert "lies outside" in error.value.message
    assert "protocol" in error.value.message


def test_a_wildcard_passes_over_pictures_but_not_over_documents_it_cannot_read(course):
    folder = course / "knowledge/boats"
    os.mkfifo(folder / "pipe.md")
    (folder / "boat.png").write_bytes(b"\x89PNG")
    assert names(course, leaf()) == [("knowledge/boats", "boats.md")]
    with pytest.raises(ContentError, match=r"only files that are no documents match \*\.png"):
        names(course, leaf(patterns=["*.png"]))
    (folder / "book.rtf").write_bytes(b"x")
    with pytest.raises(ContentError, match=r"book\.rtf: files of type \.rtf cannot be read"):
        names(course, leaf())


def test_a_file_over_the_limit_names_the_setting(course):
    with pytest.raises(ContentError, match="larger than") as error:
        names(course, leaf(patterns=["boats.md"]), max_mib=0.00001)
    assert "documents.max_mib" in error.value.hint


def test_a_single_fault_keeps_its_kind_place_and_hint(course):
    (course / "knowledge/boats/a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(ContentError) as error:
        names(course, leaf(patterns=["a.pdf"]))
    assert error.value.where == "knowledge/boats: a.pdf"
    assert "print it to a new PDF" in error.value.hint


def test_documents_come_from_a_git_repository_at_a_commit(course, tmp_path):
    repository = tmp_path / "repository"
    (repository / "docs").mkdir(parents=True)
    (repository / "docs/a.md").write_text(TEXT)
    (repository / "docs/a.png").write_text("x")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    address = f"file://{repository}"
    there = leaf(repo=address, commit=head, patterns=["**/*.md", "docs"])
    found = read_documents([there], course, config=Documents(), cache=tmp_path / "cache")
    assert [(d.name, d.text) for d in found] == [("docs/a.md", TEXT)]
    with pytest.raises(ContentError, match="no file matches x"):
        names(course, leaf(repo=address, commit=head, patterns=["x.md"]))


def test_the_stage_writes_documents_and_passages_that_point_into_them(course):
    out = course / "out/documents"
    summary = make_documents([leaf(patterns=["**/*"])], course, config=Documents(), out=out, cache=course / "out/cache")
    documents = {d.id: d for d in read_jsonl(out / "documents.jsonl", Document)}
    chunks = read_jsonl(out / "chunks.jsonl", Chunk)
    assert summary == {"documents": 2, "chunks": 2, "words": 18}
    for c in chunks:
        assert documents[c.document].text.encode()[c.start : c.end].decode() == c.text
        assert (c.leaf, c.title) == (documents[c.document].leaf, documents[c.document].title)


def test_a_stage_with_a_fault_writes_nothing_and_one_without_knowledge_writes_empty_files(course):
    out = course / "out/documents"
    with pytest.raises(ContentError):
        make_documents([leaf(patterns=["gone"])], course, config=Documents(), out=out, cache=course / "c")
    assert not out.exists()
    skill = leaf("s", kind="freeform_skill")
    assert make_documents([skill], course, config=Documents(), out=out, cache=course / "c")["chunks"] == 0
    assert (out / "chunks.jsonl").read_text() == ""


def test_a_passage_of_a_paged_document_knows_its_page_and_what_was_left_out_is_kept(course):
    pytest.importorskip("pypdfium2")
    (course / "knowledge/boats/a.pdf").write_bytes(pdf(["First page."], ["Second page."], [(72, 700, 0.5, "tiny")]))
    out = course / "out/documents"
    config = Documents(max_words=2, min_words=1)
    make_documents([leaf(patterns=["a.pdf"])], course, config=config, out=out, cache=course / "out/cache")
    chunks = read_jsonl(out / "chunks.jsonl", Chunk)
    assert [(c.text, c.page) for c in chunks] == [("First page.", 1), ("Second page.", 2)]
    (document,) = read_jsonl(out / "documents.jsonl", Document)
    assert document.pages == (0, 13, 26)
    assert "too small to see" in document.notes[0]
