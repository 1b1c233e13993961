"""InstructLab's own verdict on a `qna.yaml`, for tests that compare ours with it.

The packages are for development only: instructlab-schema needs yamllint, which is GPL. Nothing in `homeroom/` imports
them. yamllint runs in this process, where instructlab-schema starts it once a file; a test shows that it says the same.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

taxonomy = pytest.importorskip("instructlab.schema.taxonomy", reason="needs instructlab-schema: make setup")
linter = pytest.importorskip("yamllint.linter", reason="needs yamllint: make setup")
config = pytest.importorskip("yamllint.config")
CONFIG = config.YamlLintConfig(taxonomy.DEFAULT_YAMLLINT_CONFIG)


@dataclass(frozen=True)
class Verdict:
    """What instructlab-schema says of one file."""

    accepted: bool  # by the schema of the version that the file names; the lint left out
    text: str  # what it said
    linted: str = ""  # what it would give to the lint program; nothing where the file is of version 1

    @cached_property
    def lint(self) -> list[tuple[int, str]]:
        """Return the line and the rule of each complaint of the lint."""
        return [(p.line, p.rule or "syntax") for p in linter.run(self.linted, CONFIG)] if self.linted else []

    @property
    def strict(self) -> bool:
        """Return the verdict with the lint, each complaint an error: what `ilab taxonomy diff` says."""
        return self.accepted and not self.lint


class SchemaOnly(taxonomy.TaxonomyParser):
    """The parser of instructlab-schema without the program that it starts."""

    def _yamllint(self, text: str, taxonomy: object) -> None:
        self.linted = text


def verdict(path: Path) -> Verdict:
    """Return what InstructLab says, without printing it."""
    parser = SchemaOnly(schema_version=0, message_format="standard")
    parser.yq_available, parser.linted = False, ""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            accepted = parser.parse(path).errors == 0
        except taxonomy.TaxonomyReadingException as error:
            return Verdict(False, repr(error.__cause__))
    return Verdict(accepted, said.getvalue(), parser.linted)


def whole_verdict(path: Path) -> bool:
    """Return what instructlab-schema says as it ships, with the lint program started, complaints being errors."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("PATH", programs)
        try:
            return taxonomy.TaxonomyParser(schema_version=0, yamllint_strict=True).parse(path).errors == 0
        except taxonomy.TaxonomyReadingException:
            return False
