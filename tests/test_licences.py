"""What Homeroom needs at run time is under permissive licences: read from the metadata of what is installed here."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# MPL-2.0 (certifi, tqdm) is a licence of files, not of what uses them, and is fine.
COPYLEFT = re.compile(r"\b(A|L)?GPL|GNU (Affero|Lesser|Library|General)|SSPL|BUSL|Commons Clause|non-?commercial", re.I)
# A licence that lets one choose is judged by its best choice.
CHOICE = re.compile(r"\s+OR\s+", re.I)
PROPRIETARY_BUT_ONLY_ON_A_GPU = ("nvidia-", "cuda-")  # NVIDIA's own runtime, which torch's CUDA build brings


def licence_of(package: metadata.Distribution) -> str:
    """Return what a package says of its licence: the expression, else classifiers, else the first line of the text."""
    info = package.metadata
    if info.get("License-Expression"):
        return info["License-Expression"]
    classifiers = [c.rpartition("::")[2].strip() for c in info.get_all("Classifier", []) if c.startswith("License ::")]
    named = [c for c in classifiers if c != "OSI Approved"]
    if named:
        return " AND ".join(named)
    text = (info.get("License") or "").strip()
    return text.splitlines()[0][:200] if text else _first_line_of_licence_file(package)


def _first_line_of_licence_file(package: metadata.Distribution) -> str:
    for file in package.files or []:
        if re.match(r"(licen[cs]e|copying)", file.name, re.I):
            lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
            return next((line for line in lines if line), "")
    return ""


def is_permissive(licence: str) -> bool:
    """Return whether one of the licences that a package offers may be used without copyleft."""
    return bool(licence) and any(not COPYLEFT.search(choice) for choice in CHOICE.split(licence))


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("AGPL-3.0-only OR MIT", True),
        ("AGPL-3.0-only OR LGPL-2.1", False),
        ("MPL-2.0 AND MIT", True),
        ("", False),
    ],
)
def test_a_licence_is_judged_by_its_best_choice(licence: str, permissive: bool):
    assert is_permissive(licence) is permissive


def needed(wanted: Iterable[str]) -> dict[str, metadata.Distribution]:
    """Return the installed packages that requirements lead to, those of extras and of this machine's markers too."""
    found: dict[str, metadata.Distribution] = {}
    todo = [(Requirement(text), "") for text in wanted]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        for wanted_extra in ("", *requirement.extras):
            if (name, wanted_extra) not in seen:
                seen.add((name, wanted_extra))
                todo += [(Requirement(text), wanted_extra) for text in found[name].requires or []]
    return found


def run_time_requirements() -> list[str]:
    """Return the requirements of `homeroom[laptop,documents]` as pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(r for e in ("train", "engine", "serve", "documents") for r in extras[e])]


def test_nothing_needed_at_run_time_is_copyleft():
    packages = needed(run_time_requirements())
    assert {"click", "httpx", "jinja2", "numpy", "pyyaml"} <= set(packages)
    assert len(packages) > 10
    faults = {
        name: licence_of(package)
        for name, package in packages.items()
        if not is_permissive(licence_of(package)) and not name.startswith(PROPRIETARY_BUT_ONLY_ON_A_GPU)
    }
    assert not faults, f"not permissive, or without a licence: {faults}"


def test_the_known_traps_are_not_installed_at_run_time():
    traps = {"yamllint", "instructlab-schema", "pymupdf", "ebooklib", "html2text", "psycopg", "unsloth", "paramiko"}
    assert not traps & set(needed(run_time_requirements()))


def test_our_own_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for part in ("Version 2.0, January 2004", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS", "APPENDIX"):
        assert part in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"


if __name__ == "__main__":
    for found_name, found_package in sorted(needed(run_time_requirements()).items()):
        sys.stdout.write(f"{found_name:28} {found_package.version:16} {licence_of(found_package)}\n")
