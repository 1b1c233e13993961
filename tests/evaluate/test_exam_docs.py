import json
import re
from pathlib import Path

from homeroom.core.types import Question
from homeroom.core.words import words
from homeroom.evaluate.checks import CHECKS
from homeroom.evaluate.exam import to_question

PAGE = (Path(__file__).parents[2] / "docs" / "exam.md").read_text(encoding="utf-8")


def test_every_example_of_the_page_is_a_valid_exam_line():
    lines = [line for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    kinds = {to_question(json.loads(line)).kind for line in lines}
    assert kinds == {"short", "choice", "yes_no", "rewrite", "rubric"}


def test_the_page_names_every_key_and_every_check():
    for name in (*Question.__dataclass_fields__, *CHECKS):
        assert f"| `{name}` |" in PAGE


def test_what_the_page_calls_the_same_is_the_same():
    equal = re.findall(r"((?:`[^`\n]+` = )+`[^`\n]+`)", PAGE)
    assert len(equal) > 8
    for chain in equal:
        forms = {tuple(words(form)) for form in re.findall(r"`([^`]+)`", chain)}
        assert len(forms) == 1, chain
