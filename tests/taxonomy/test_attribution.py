"""What an `attribution.txt` says, and which licences a course allows."""

import pytest
from qna_files import ATTRIBUTION, KNOWLEDGE, SKILL, put

from homeroom.taxonomy.attribution import licence_fault, parse_attribution, spdx
from homeroom.taxonomy.check import check

WIKIPEDIA = """Title of work: Tonsil
Link to work: https://en.wikipedia.org/wiki/Tonsil
Revision: https://en.wikipedia.org/w/index.php?title=Tonsil&oldid=1
License of the work: CC-BY-SA-4.0
Creator names: Wikipedia Authors

- Title: Second work
- Licence: Apache License, Version 2.0
- Creators: A: B
"""


def test_the_lines_of_several_works_are_read_whatever_their_labels():
    one, two = parse_attribution(WIKIPEDIA)
    assert (one.title, one.licence, one.creators) == ("Tonsil", "CC-BY-SA-4.0", "Wikipedia Authors")
    assert one.revision.endswith("oldid=1")
    assert (two.line, two.title, two.creators, spdx(two.licence)) == (6, "Second work", "A: B", "Apache-2.0")
    assert parse_attribution("just prose, no label\nhttps://a.org\n") == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International License", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution 4.0 International (CC BY 4.0)", "CC-BY-4.0"),
        ("Apache License Version 2.0.", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Public Domain", "CC-PDDC"),
        ("Open Government Licence v3.0", "OGL-UK-3.0"),
        ("CC0", "CC0-1.0"),
        ("MIT License", "MIT"),
        ("All Rights Reserved", "All Rights Reserved"),
    ],
)
def test_a_licence_is_known_by_the_names_people_give_it(written, meant):
    assert spdx(written) == meant


def test_one_allowed_licence_of_a_choice_is_enough():
    assert not licence_fault("GPL-3.0-only OR MIT", ["MIT"])
    assert licence_fault("CC BY-NC-SA 4.0", ["MIT"]) == "the licence CC-BY-NC-SA-4.0 is not one that this course allows"
    assert "not an SPDX identifier" in licence_fault("eula", ["MIT"])


def problems(course):
    return [(p.file.rpartition("/")[2], p.line, p.code) for p in check([course]).problems]


def test_a_licence_that_the_course_does_not_allow_is_said_and_the_recipe_decides(tmp_path):
    path = put(tmp_path, SKILL, "compositional_skills/kind")
    attribution = path.parent / "attribution.txt"
    attribution.write_text(WIKIPEDIA)
    assert problems(tmp_path) == []
    (tmp_path / "recipe.yaml").write_text("taxonomy:\n  licences: [Apache-2.0]\n")
    assert problems(tmp_path) == [("attribution.txt", 1, "licence")]
    assert check([tmp_path]).ok
    (tmp_path / "recipe.yaml").write_text("taxonomy:\n  licenses: [MIT]\n")
    assert problems(tmp_path) == [("recipe.yaml", 1, "recipe")]
    assert not check([tmp_path]).ok


def test_what_an_attribution_lacks_is_said_at_its_work(tmp_path):
    path = put(tmp_path, SKILL, "compositional_skills/kind")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION + "\nTitle of work: x\nLicense of the work:\n")
    (problem,) = check([tmp_path]).problems
    assert (problem.line, problem.code) == (6, "attribution")
    assert problem.message == "License of the work and Creator names missing or empty"
    (path.parent / "attribution.txt").write_text("I wrote it.")
    assert "no work is named" in check([tmp_path]).problems[0].message


def test_a_document_of_a_licence_that_is_not_allowed_is_said(tmp_path):
    listed = "document:\n  - {path: boats.md, licence: CC-BY-NC-4.0}\n  - {url: 'https://a.org/b.pdf', license: MIT}\n"
    path = put(tmp_path, KNOWLEDGE.replace("document: boats.md\n", listed))
    (path.parent / "boats.md").write_text("x")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    (problem,) = check([tmp_path]).problems
    assert (problem.line, problem.code, problem.severity) == (5, "licence", "warning")
    assert problem.message == "boats.md: the licence CC-BY-NC-4.0 is not one that this course allows"
