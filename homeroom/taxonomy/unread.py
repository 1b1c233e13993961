"""The mark of a draft: a leaf that carries it was written by a model and has been read by no person yet.

`homeroom draft` puts it there, a person takes it away; until then the leaf has an error, so that neither `check` nor a
run takes it.
"""

from __future__ import annotations

from homeroom.taxonomy.parse import Place
from homeroom.taxonomy.problem import Faults

DRAFT_MARK = "# DRAFT, written by a model"  # begins a line, wherever a person may have moved it


def check_was_read(content: bytes, faults: Faults) -> None:
    """Add an error where a `qna.yaml` still has the mark of a draft."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    number = next((n for n, line in enumerate(lines) if line.startswith(DRAFT_MARK.encode())), None)
    if number is not None:
        hint = "Read every line against its document, mend it, then remove the line that begins with # DRAFT."
        faults.error(Place(number, 0), "draft", "this is a draft that no person has read yet", hint)
