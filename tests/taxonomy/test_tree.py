"""The tree of a course: what it says of each leaf, and the gaps, from real folders and a real git repository."""

import json
import os
import re
import subprocess

import pytest
from qna_files import KNOWLEDGE, SKILL, put

from homeroom.author.survey import survey
from homeroom.core.errors import ContentError
from homeroom.taxonomy.gaps import Paper, empty, examine
from homeroom.taxonomy.tree import shown, tree_text
from homeroom.taxonomy.tree_page import squarified, tree_page

WORDS = "harbour lantern ferry pilot anchor barrel cable deckhand engine funnel galley hatch island jetty keel ladder"
SECTIONS = {
    "Boats": "Boat 1 is red. Boat 2 is red. Boat 3 is red. Boat 4 is red. Boat 0 is red and carries lanterns.",
    "Harbour": f"In the harbour {WORDS} " * 3,
    "Weather": "Thunderstorms, drizzle, hailstones, blizzards, cyclones and sunshine are announced every morning on "
    "a blackboard behind the weighing house, beside the thermometer.",
}


def document(sections=SECTIONS):
    return "# The book of boats\n\n" + "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())


@pytest.fixture
def course(tmp_path):
    path = put(tmp_path / "course", KNOWLEDGE.replace("is red.\n    q", "is red and carries lanterns.\n    q"))
    (path.parent / "boats.md").write_text(document())
    put(tmp_path / "course", SKILL, "compositional_skills/kind")
    return tmp_path / "course"


def git(folder, *arguments, **env):
    names = {"GIT_AUTHOR_NAME": "Ann Author", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "x"}
    names |= {"GIT_COMMITTER_EMAIL": "x@y", "GIT_CONFIG_GLOBAL": "/dev/null", **env}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, env={**os.environ, **names}).stdout.decode()


def rows(tree):
    return {leaf.path: leaf for leaf in tree.leaves}


def found(tree, kind):
    return [(gap.path, gap.section) for gap in tree.gaps if gap.kind == kind]


def report(course, *items):
    folder = course / "out" / "report"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    (folder / "items.jsonl").write_text("".join(json.dumps({"set": "final", **item}) + "\n" for item in items))


# -- what it says ---------------------------------------------------------------------------------------------------


def test_a_leaf_has_its_counts_sizes_documents_and_without_git_the_person_it_names(course):
    leaf = rows(survey(course))["knowledge/boats"]
    assert (leaf.contexts, leaf.questions, leaf.created_by, leaf.author, leaf.commit) == (5, 15, "me", "me", "")
    (paper,) = leaf.documents
    assert paper.name == "boats.md"
    assert paper.words == sum(s.words for s in paper.sections) == sum(len(t.split()) for t in SECTIONS.values())
    assert leaf.bytes == (course / "knowledge/boats/qna.yaml").stat().st_size
    assert re.match(r"\d{4}-\d\d-\d\dT", leaf.changed)


def test_the_last_commit_of_any_file_of_a_leaf_gives_author_and_date_in_one_git_call(course, monkeypatch):
    git(course.parent, "init", "-q")
    git(course.parent, "add", ".")
    git(course.parent, "commit", "-qm", "one", GIT_AUTHOR_DATE="2024-01-01T00:00:00Z")
    (course / "knowledge/boats/boats.md").write_text(document() + "\nmore")
    git(course.parent, "commit", "-qam", "two", GIT_AUTHOR_NAME="Bo", GIT_AUTHOR_DATE="2025-05-05T00:00:00Z")
    put(course, SKILL, "compositional_skills/new")
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(a) or popen(*a, **k))
    leaves = rows(survey(course))
    assert len(started) == 1
    boats, kind, new = (leaves[p] for p in ("knowledge/boats", "compositional_skills/kind", "compositional_skills/new"))
    assert (boats.author, boats.changed[:10], len(boats.commit)) == ("Bo", "2025-05-05", 40)
    assert (kind.author, kind.changed[:10]) == ("Ann Author", "2024-01-01")
    assert (new.author, new.commit) == ("me", "")


def test_a_broken_leaf_is_named_and_does_not_hide_the_others(course):
    put(course, KNOWLEDGE.replace("domain: boats\n", ""), "knowledge/broken")
    tree = survey(course)
    assert tree.broken == ("knowledge/broken/qna.yaml",)
    assert "knowledge/boats" in rows(tree)
    assert "knowledge/broken/qna.yaml" in tree_text(tree)


def test_a_folder_inside_a_course_and_a_single_leaf_have_a_tree_and_an_empty_folder_has_none(course, tmp_path):
    assert list(rows(survey(course / "knowledge"))) == ["knowledge/boats"]
    assert list(rows(survey(course / "knowledge/boats/qna.yaml"))) == ["knowledge/boats"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ContentError, match="no qna"):
        survey(tmp_path / "nothing")


def test_what_a_run_converted_is_read_and_a_git_document_is_only_named(course):
    put(course, KNOWLEDGE.replace("boats.md", "{repo: 'https://me:pass@x.org/y.git', commit: c, patterns: ['*.md']}"))
    (paper,) = rows(survey(course))["knowledge/boats"].documents
    assert (paper.name, paper.words, paper.sections) == ("https://x.org/y.git *.md", None, ())
    converted = {"leaf": "knowledge/boats", "name": "deep/boats.md", "text": document()}
    (course / "out/documents").mkdir(parents=True)
    (course / "out/documents/documents.jsonl").write_text(json.dumps(converted) + "\nnot json\n")
    assert rows(survey(course))["knowledge/boats"].documents[0].words is None  # a damaged file says nothing
    (course / "out/documents/documents.jsonl").write_text(json.dumps(converted) + "\n")
    (paper,) = rows(survey(course))["knowledge/boats"].documents
    assert (paper.name, len(paper.sections)) == ("deep/boats.md", 3)


def test_an_address_beside_files_is_a_document_too(course):
    put(course, KNOWLEDGE.replace("boats.md", "[boats.md, 'https://example.org/more.md']"))
    leaf = rows(survey(course))["knowledge/boats"]
    assert [(d.name, d.words is None) for d in leaf.documents] == [
        ("boats.md", False),
        ("https://example.org/more.md", True),
    ]


def test_a_link_that_leads_out_of_the_course_is_not_read(course, tmp_path):
    (tmp_path / "secret.md").write_text("# Secret\n\nWords of it.\n")
    (course / "knowledge/boats/boats.md").unlink()
    (course / "knowledge/boats/boats.md").symlink_to(tmp_path / "secret.md")
    assert rows(survey(course))["knowledge/boats"].documents == ()


# -- gaps -----------------------------------------------------------------------------------------------------------


def test_sections_that_no_context_comes_from_are_gaps_the_longest_first(course):
    assert found(survey(course), "untouched") == [("knowledge/boats", "Harbour"), ("knowledge/boats", "Weather")]


def test_a_context_touches_the_section_it_was_taken_from_even_when_reworded_a_little():
    text = "Storm damage must be reported within three weeks. Theft must be reported within 36 hours to the harbour."
    paper = Paper(name="d", sections=(("Late", text), ("Plans", "The Orchard plan insures gardens and beehives.")))
    touched = [s.touched for s in examine(paper, ["Damage by storms is reported in three weeks at most."], [])]
    assert touched == [True, False]
    assert [s.touched for s in examine(paper, ["Nothing of the kind stands here anywhere."], [])] == [False, False]


def test_scripts_without_spaces_are_compared_too():
    paper = Paper(name="d", sections=(("一", "港の船は赤い。灯台の光は白い。"), ("二", "山の道は長く険しい。")))
    assert [s.touched for s in examine(paper, ["港の船は赤い"], [])] == [True, False]


def test_thin_leaves_are_said_with_what_would_be_enough(course):
    (course / "knowledge/boats/boats.md").write_text(document({"Long": "word " * 4000}))
    text = tree_text(survey(course))
    assert "5 contexts stand for 4,000 words; about 10 would show all of it" in text
    assert "compositional_skills/kind: 5 examples" in text


def test_a_long_text_without_headings_is_looked_at_in_parts(course):
    parts = " ".join(f"alpha{n} beta{n} gamma{n} delta{n}." for n in range(500))
    (course / "knowledge/boats/boats.md").write_text("Boat 1 is red. " + parts)
    sections = rows(survey(course))["knowledge/boats"].documents[0].sections
    assert len(sections) == 7
    assert sections[1].title.endswith("…")
    assert all(s.words <= 300 for s in sections)


def test_an_empty_folder_beside_full_ones_is_a_gap_and_one_that_holds_documents_is_not(course):
    for name in ("a", "b", "c"):
        put(course, SKILL, f"compositional_skills/kind_of/{name}")
    (course / "compositional_skills/kind_of/a/pictures").mkdir()
    (course / "compositional_skills/kind_of/later/deeper").mkdir(parents=True)
    (course / "compositional_skills/.hidden").mkdir()
    assert found(survey(course), "empty") == [("compositional_skills/kind_of/later", "")]
    assert not empty(["knowledge/x"], {"knowledge/only"})


def test_what_the_student_answers_wrong_is_put_to_its_leaf_and_section(course):
    leaf = "knowledge/boats"
    report(
        course,
        {"leaf": leaf, "source": "Boat 2\nis red.", "correct_before": False, "correct_after": True},
        {"leaf": leaf, "source": "Boat 3 is red.", "correct_before": False, "correct_after": False},
        {"leaf": leaf, "source": "", "correct_before": True, "correct_after": False},
        {"leaf": "", "source": "Boat 3 is red.", "correct_before": False, "correct_after": False},
        {"leaf": leaf, "set": "retention", "correct_after": False},
    )
    tree = survey(course)
    assert found(tree, "unknown") == [(leaf, "Boats"), (leaf, "")]
    row = rows(tree)[leaf]
    assert (row.asked, row.right, row.right_before) == (3, 1, 1)
    assert (row.documents[0].sections[0].asked, row.documents[0].sections[0].right) == (2, 1)
    assert tree.has_report
    assert "1 of 2 exam questions wrong" in tree_text(tree)


def test_a_course_without_a_report_says_nothing_of_knowing(course):
    tree = survey(course)
    assert not tree.has_report
    assert not found(tree, "unknown")
    assert "knows" not in tree_text(tree)


def test_a_damaged_report_does_not_stop_the_tree(course):
    report(course)
    (course / "out/report/items.jsonl").write_text('{"set": "final"\n[]\n')
    assert rows(survey(course))


# -- the page -------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_names_every_leaf_and_gap(course):
    page = tree_page(survey(course))
    assert not re.search(r"<script|https?://|@import|<link[^>]+href=\"(?!data:)", page)
    assert "default-src 'none'" in page
    for text in ("knowledge", "boats", "kind", "Harbour", "Weather", "Thin leaves", "prefers-color-scheme: dark"):
        assert text in page
    assert page.count('<svg class="picture') == 2


def test_hostile_names_reach_neither_the_page_nor_the_terminal(course):
    bad = "<script>alert(1)</script>"
    (course / "knowledge/boats/boats.md").write_text(f"# A\n\n## {bad}\x1b[2J\u202egnp\n\nText of it, {'x ' * 30}\n")
    put(course, KNOWLEDGE.replace("created_by: me", f'created_by: "{bad}"'), "knowledge/boats")
    git(course, "init", "-q")
    git(course, "add", "knowledge")
    git(course, "commit", "-qm", "x", GIT_AUTHOR_NAME="\x1b[31m<b>Eve</b>")
    tree = survey(course)
    page, text = tree_page(tree), tree_text(tree)
    assert "<script" not in page
    assert "<b>Eve" not in page
    assert "&lt;script&gt;" in page
    for shown_text in (page, text, json.dumps(tree.to_json(), ensure_ascii=False)):
        assert "\x1b" not in shown_text
        assert "\u202e" not in shown_text


def test_shown_is_one_line_of_bounded_length():
    assert shown("a\nb\t c\x00\u200bd") == "a b c d"
    assert len(shown("x" * 1000)) == 120
    assert shown("\udcff") == "?"


def test_the_cells_of_the_map_cover_it_without_overlap_and_in_proportion():
    sizes = [40, 25, 12, 9, 6, 4, 2, 1, 1]
    boxes = squarified(sizes, 0, 0, 300, 200)
    for size, (_, _, width, height) in zip(sizes, boxes, strict=True):
        assert width * height == pytest.approx(600 * size)
    for n, (x, y, w, h) in enumerate(boxes):
        assert -1e-6 <= x <= x + w <= 300 + 1e-6
        assert -1e-6 <= y <= y + h <= 200 + 1e-6
        for a, b, c, d in boxes[:n]:
            assert x >= a + c - 1e-6 or a >= x + w - 1e-6 or y >= b + d - 1e-6 or b >= y + h - 1e-6


def test_many_leaves_are_drawn_as_their_folders(course):
    for n in range(300):
        put(course, SKILL, f"compositional_skills/area{n % 5}/leaf{n}")
    page = tree_page(survey(course))
    assert "60 leaves" in page
    assert page.count("<rect") < 900


def test_the_json_is_the_contract(course):
    out = json.loads(json.dumps(survey(course).to_json()))
    assert list(out) == ["version", "course", "has_report", "totals", "folders", "leaves", "gaps", "broken"]
    assert out["version"] == 1
    assert set(out["gaps"][0]) == {"kind", "path", "message", "document", "section", "weight"}
    assert set(out["leaves"][0]) == {
        *("path", "kind", "contexts", "questions", "words", "bytes", "documents", "changed", "author", "commit"),
        *("created_by", "asked", "right", "right_before"),
    }
    assert out["folders"][0] == {
        **{"path": "compositional_skills", "leaves": 1, "contexts": 0, "questions": 5},
        **{"words": out["leaves"][0]["words"], "asked": 0, "right": 0},
    }
