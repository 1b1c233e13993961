"""InstructLab's own verdict on a `qna.yaml`, for tests that compare ours with it (`make differential`).

The packages are for development only: instructlab-schema needs yamllint, which is GPL. Nothing in `homeroom/` imports
them. yamllint runs in this process, where instructlab-schema starts it once a file; a test shows that it says the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

taxonomy = pytest.importorskip("instructlab.schema.taxonomy", reason="needs instructlab-schema: make differential")
linter = pytest.importorskip("yamllint.linter", reason="needs yamllint: make differential")
config = pytest.importorskip("yamllint.config")
CONFIG = config.YamlLintConfig(taxonomy.DEFAULT_YAMLLINT_CONFIG)


@dataclass(frozen=True)
class Verdict:
    """What instructlab-schema says of one file."""

    accepted: bool  # by the schema of the version that the file names; the lint left out
    strict: bool  # with the lint, each complaint an error: what `ilab taxonomy diff` says
    lint: tuple[tuple[int, str], ...]  # line and rule of each complaint
    text: str


class SchemaOnly(taxonomy.TaxonomyParser):
    """The parser of instructlab-schema without the program that it starts."""

    def _yamllint(self, text: str, taxonomy: object) -> None:
        self.linted = [(p.line, p.rule or "syntax") for p in linter.run(text, CONFIG)]


def verdict(path: Path) -> Verdict:
    """Return what InstructLab says, without printing it."""
    parser = SchemaOnly(schema_version=0, message_format="standard")
    parser.yq_available, parser.linted = False, []
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            accepted = parser.parse(path).errors == 0
        except taxonomy.TaxonomyReadingException as error:
            return Verdict(False, False, (), repr(error.__cause__))
    return Verdict(accepted, accepted and not parser.linted, tuple(parser.linted), said.getvalue())


def whole_verdict(path: Path) -> bool:
    """Return what instructlab-schema says as it ships, with the lint program started, complaints being errors."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("PATH", programs)
        try:
            return taxonomy.TaxonomyParser(schema_version=0, yamllint_strict=True).parse(path).errors == 0
        except taxonomy.TaxonomyReadingException:
            return False
