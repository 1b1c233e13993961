"""Every text that a page shows is in every catalogue, with the same values in it, and nothing else is."""

import ast
import re
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from homeroom.author import form
from homeroom.community.review import LICENCE_TERMS
from homeroom.taxonomy import tree_page
from homeroom.web import page
from homeroom.web.translate import LANGUAGES, catalogue, read_po, sayer, translator

WEB = Path(page.__file__).parent
VALUE = re.compile(r"%\((\w+)\)s")


def texts():
    """Return every text in a template's `_("...")`, a page's `translator(...)("...")`, and a finding."""
    found = {LICENCE_TERMS}
    for path in sorted((WEB / "templates").glob("*.html")):
        found |= set(re.findall(r'\b_\("((?:[^"\\]|\\.)*)"', path.read_text(encoding="utf-8")))
    for path in sorted(WEB.glob("pages_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Call):
                if ast.unparse(node.func.func) == "translator":
                    found.add(node.args[0].value)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "wrong":
                found |= {
                    c.value for c in ast.walk(node.value) if isinstance(c, ast.Constant) and len(str(c.value)) > 9
                }
    for node in ast.walk(ast.parse(Path(form.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_finding":
            found |= {a.value for a in node.args[2:] if isinstance(a, ast.Constant)}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "text":
            found |= {node.value.value} if isinstance(node.value, ast.Constant) else set()
    found |= set(form.EMPTY.values())
    found |= {words.replace("seed ", "") for _, _, words in tree_page._REACH}  # of the map's legend
    found |= {"a skill, or not read yet", "no example comes from it", "folder without a leaf"}
    return {text for text in found if text not in ("%(message)s", "")}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_text_is_in_every_language_with_the_same_values(language):
    words, wanted = catalogue(language), texts()
    assert len(wanted) > 200
    assert not sorted(wanted - {text for text, said in words.items() if said})
    assert not sorted(words.keys() - wanted)
    for text, said in words.items():
        assert sorted(VALUE.findall(text)) == sorted(VALUE.findall(said)), text
        assert translator(language)(text, **dict.fromkeys(VALUE.findall(text), "x"))


DOCUMENTS = ("formats", "package", "child", "pdf", "word", "text", "opendocument", "slides", "epub")
SAID_BY = (  # what may go wrong while somebody uses the page
    "web/[!s]*.py",
    "community/*.py",
    "jobs/*.py",
    "core/contributions.py",
    "author/[ceft]*.py",
    *(f"documents/{name}.py" for name in DOCUMENTS),
)
ERRORS = ("Usage", "Content", "Machine", "Refused", "Stage", "Login", "Homeroom")


def errors():
    """Return the message and hint of every error that the page can meet, "7" in place of each value."""
    found = set()
    for path in (p for pattern in SAID_BY for p in sorted(WEB.parent.glob(pattern))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2].removesuffix("Error").removeprefix("_")
                if name in (*ERRORS, "NotFound", "Busy", "Stale", "TooOften", "Conflict", "fault"):
                    found |= {in_words(a) for a in node.args[:1]}
                    found |= {in_words(k.value) for k in node.keywords if k.arg == "hint"}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("hint", "reason"):
                found.add(in_words(node.value))
    return {text for text in found if text.strip("7 ")}


def in_words(node):
    if isinstance(node, ast.IfExp):
        return in_words(node.body)
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "7" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_error_that_the_page_can_meet_is_said_in_every_language(language):
    wanted, say = errors(), sayer(language)
    assert len(wanted) > 150
    same = {"pip install homeroom[documents]", "7: 7"}
    assert not sorted(text for text in wanted - same if say(text) == text)
    for text, said in catalogue(f"errors.{language}").items():
        assert sorted(VALUE.findall(text)) == sorted(VALUE.findall(said)), text
    sources = "".join(p.read_text(encoding="utf-8") for p in sorted(WEB.parent.rglob("*.py")))
    sources = re.sub(r'"\s*\n?\s*f?"', "", sources).replace('\\"', '"')
    parts = {max(re.split(r"%\(\w+\)s", text), key=len) for text in catalogue(f"errors.{language}")}
    assert not sorted(part for part in parts if part.split(".")[0] not in sources), "nobody says this any more"
    assert sorted(say("is damaged: a.xml is not XML (b)").split()) == sorted(
        ["ist", "beschädigt:", "a.xml", "ist", "kein", "XML", "(b)"]
    )
    assert say("x" * 100_000) == "x" * 100_000
    assert say("what another program said") == "what another program said"


def test_a_catalogue_is_a_gettext_catalogue():
    text = (WEB / "locale" / "de.po").read_text(encoding="utf-8")
    assert "Content-Type: text/plain; charset=UTF-8" in text
    assert len(re.findall(r"(?m)^msgid ", text)) == len(read_po(text)) + 1, "an entry is there twice"


def test_a_reader_of_german_sees_german(browser):
    client = browser("Ben")
    assert "Was soll das Modell lernen?" in client.get("/", headers={"Accept-Language": "de-AT,de;q=0.9"}).text
    client.fill("/language", language="de", back="/")
    found = client.get("/courses/insurance/teach")
    assert '<html lang="de">' in found.text
    shown = re.sub(r"<[^>]*>", " ", found.text)
    assert not [w for w in ("Teach", "Begin", "What happens next", "Samples", "Runs") if re.search(rf"\b{w}\b", shown)]
