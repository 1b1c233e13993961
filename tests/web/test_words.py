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
from homeroom.web.translate import LANGUAGES, catalogue, read_po, translator

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
