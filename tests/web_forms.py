"""What a contributor writes, as the fields that a browser sends, and the way from an empty draft to handing it in."""

import html
import re

NOTES = "\n\n".join(
    f"## Part {n}\n\nThe Otter Club keeps rule {n} in a green book. Rule {n} was written by member {n}0. "
    f"Rule {n} holds for {n} weeks in the {word} house. Nobody may change rule {n} alone, the club meets on day {n}."
    for n, word in enumerate(("boat", "tea", "paddle", "rope", "river"), 1)
)


def field(text, name):
    return html.unescape(re.search(rf'name="{name}"[^>]*value="([^"]*)"', text)[1])


def draft_of(page):
    return re.search(r"/drafts/([0-9a-f]{12})", str(page.url) + page.text)[1]


def begin(client, name="Otter rules", kind="knowledge"):
    page = client.fill("/courses/insurance/teach", kind=kind, name=name, folder="clubs")
    assert page.status_code == 200, page.text
    return f"/courses/insurance/drafts/{draft_of(page)}"


def written(version):
    fields = {"version": version, "about": "The rules of the Otter Club.", "domain": "clubs", "creators": "The club"}
    fields |= {"title": "Green book", "licence": "CC-BY-4.0"}
    for i, part in enumerate(NOTES.split("\n\n")[1::2]):
        fields[f"examples-{i}-context"] = part
        for j, what in enumerate(("Where is", "Who wrote", "How long holds")):
            fields[f"examples-{i}-pairs-{j}-question"] = f"{what} rule {i + 1}?"
            fields[f"examples-{i}-pairs-{j}-answer"] = f"{part.split('. ')[j]}."
    return fields


def handed_in(client):
    """Write a whole topic and hand it in; return the page of the contribution."""
    here = begin(client)
    page = client.fill(f"{here}/document", files={"document": ("notes.md", NOTES.encode())})
    assert "Part 1" in page.text
    page = client.fill(f"{here}/save", do="submit", **written(field(page.text, "version")))
    assert "still to do" not in page.text, page.text
    return client.fill(f"{here}/submit", signed="yes", why="The club asked for it.")
