"""The result of a check as other programs want it: for a terminal, GitHub's annotations, and SARIF.

text    file:line:column, as compilers write it, with a hint below
github  one workflow command a problem, which GitHub shows beside the line of a pull request
sarif   one JSON object (SARIF 2.1.0), which code review tools and editors load
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import homeroom
from homeroom.taxonomy.problem import Problem

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def format_problem(problem: Problem) -> str:
    """Return one problem as compilers write them, so that editors can jump to it.

    Example:
        >>> format_problem(Problem(file="a/qna.yaml", line=3, column=5, code="empty", message="answer is empty"))
        'a/qna.yaml:3:5: error: answer is empty [empty]'
    """
    text = f"{problem.file}:{problem.line}:{problem.column}: {problem.severity}: {problem.message} [{problem.code}]"
    return f"{text}\n  -> {problem.hint}" if problem.hint else text


def format_github(problem: Problem) -> str:
    """Return one problem as a workflow command of GitHub Actions.

    Example:
        >>> format_github(Problem(file="a/qna.yaml", line=3, column=5, code="empty", message="100% empty"))
        '::error file=a/qna.yaml,line=3,col=5,title=empty::100%25 empty'
    """
    message = f"{problem.message}\n{problem.hint}" if problem.hint else problem.message
    place = f"file={_property(problem.file)},line={problem.line},col={problem.column},title={_property(problem.code)}"
    return f"::{problem.severity} {place}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def to_sarif(problems: Sequence[Problem]) -> Mapping[str, Any]:
    """Return the problems as one SARIF 2.1.0 log; relative names stay relative, for the reader to resolve."""
    codes = sorted({problem.code for problem in problems})
    return {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "homeroom",
                        "version": homeroom.__version__,
                        "rules": [{"id": code} for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(problem, codes) for problem in problems],
            }
        ],
    }


def _result(problem: Problem, codes: Sequence[str]) -> Mapping[str, Any]:
    uri = PurePath(problem.file).as_uri() if problem.file.startswith("/") else quote(problem.file)
    text = f"{problem.message}. {problem.hint}" if problem.hint else problem.message
    return {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": problem.severity,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri},
                    "region": {"startLine": problem.line, "startColumn": problem.column},
                }
            }
        ],
    }
