"""Reading one file in a child process: limits on memory, time and output, no network, no other files.

`read_in_child` starts a Python that imports the reader, gives up what it does not need, and only then looks at the
bytes, which come on its standard input. A file that breaks a limit, or the reader, ends its own child and becomes a
`ContentError`; the parent and the other documents go on.

What holds where: time, output size and the audit hook hold everywhere. The limit on memory holds on Linux; macOS
accepts `RLIMIT_AS` without enforcing it. A network namespace of its own (without any network) is made where Linux
allows it; elsewhere the audit hook refuses Python's sockets, which native code such as pdfium could go around.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homeroom.core import errors
from homeroom.core.errors import ContentError, HomeroomError, MachineError
from homeroom.documents.text import Text

PACKAGE = Path(__file__).resolve().parents[2]  # the folder that holds `homeroom`


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost."""

    memory_mib: int = 1536
    processor_s: int = 180  # 5,000 pages of a PDF need about 100
    wall_s: float = 300.0
    output_mib: int = 100  # of what the child sends back


DOCLING = Limits(memory_mib=16_384, processor_s=3_600, wall_s=1_800.0)  # layout models on a processor


def read_in_child(name: str, content: bytes, *, limits: Limits | None = None) -> Text:
    """Return what the reader of `name` makes of the bytes, read in a process of its own.

    Raises:
        ContentError: the file is faulty, or broke a limit or the reader.
        MachineError: what reads it is not installed.
    """
    limits = limits or _limits_for(name)
    answer, code, late = _ask(name, content, limits)
    if code == -signal.SIGKILL and not late:  # the system took the memory: once more, it may have been others' hunger
        answer, code, late = _ask(name, content, limits)
    try:
        said = json.loads(answer) if code == 0 else {}
    except ValueError:
        said = {}
    if "text" in said:
        return Text(**{key: tuple(v) if isinstance(v, list) else v for key, v in said["text"].items()})
    if "error" in said:
        kind = getattr(errors, said["error"].pop("kind"))
        raise kind(said["error"].pop("message"), **said["error"])
    hint = "Open it in the program it comes from and save it anew, or split it."
    raise ContentError(_why(code, late, limits), where=name, hint=hint)


def _limits_for(name: str) -> Limits:
    import importlib.util

    uses_docling = name.lower().endswith(".pdf") and importlib.util.find_spec("docling") is not None
    return DOCLING if uses_docling else Limits()


def _why(code: int, late: bool, limits: Limits) -> str:
    if late:
        return f"took longer than {limits.wall_s:g} s to read, or gave more than {limits.output_mib} MiB"
    if code == -signal.SIGXCPU:
        return f"took more than {limits.processor_s} s of a processor to read"
    if code == -signal.SIGKILL:
        return "needed more memory to read than this machine could give"
    return f"broke the program that reads it (signal {-code})" if code < 0 else "broke the program that reads it"


def _ask(name: str, content: bytes, limits: Limits) -> tuple[bytes, int, bool]:
    """Return the child's answer, its exit code, and whether it was ended for its time or its output."""
    paths = [
        str(PACKAGE),
        *(os.path.abspath(path) for path in sys.path if path),
    ]  # -S: no .pth file runs
    code = f"import sys; sys.path[:] = {paths!r}; from homeroom.documents.child import main; main()"
    order = json.dumps({"name": name, "limits": asdict(limits)}).encode() + b"\n"
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "HOME") if key in os.environ}
    with tempfile.TemporaryFile() as given:
        given.write(order + content)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", code],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | {"LC_ALL": "C.UTF-8"},  # no keys, no tokens, no proxy
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        try:
            answer, late = _read(process, limits)
        finally:
            _end(process)
    return answer, process.returncode, late


def _read(process: subprocess.Popen[bytes], limits: Limits) -> tuple[bytes, bool]:
    end = time.monotonic() + limits.wall_s
    parts: list[bytes] = []
    size = 0
    while True:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        part = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
        size += len(part)
        if not ready or size > limits.output_mib * 2**20:
            return b"", True
        if not part:
            break
        parts.append(part)
    try:
        process.wait(timeout=max(1.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", True
    return b"".join(parts), False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.stdout.close()
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


# -- in the child ------------------------------------------------------------------------------------------------


def main() -> None:
    """Read an order and a file from standard input, and write a text or an error to standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is not the answer
    order = json.loads(sys.stdin.buffer.readline())
    name = order["name"]
    try:
        said: dict[str, Any] = {"text": asdict(_read_here(name, Limits(**order["limits"])))}
    except HomeroomError as error:
        said = {"error": _as_json(error)}
    except MemoryError:
        said = {"error": _as_json(_too_much_memory(name, order["limits"]["memory_mib"]))}
    except (RecursionError, Exception) as error:  # a reader that stumbles over what nobody thought of
        hint = "Open it in the program it comes from and save it anew."
        message = f"cannot be read ({type(error).__name__}: {str(error)[:200]})"
        said = {"error": _as_json(ContentError(message, where=name, hint=hint))}
    with out:
        out.write(json.dumps(said).encode())


def _read_here(name: str, limits: Limits) -> Text:
    from homeroom.documents.formats import reader_of

    reader = reader_of(name)  # with all that it imports: after this nothing is opened any more
    if name.lower().endswith(".pdf"):
        _import_pdfium()
    _limit(limits)
    _leave_the_network()
    sys.addaudithook(_refuse)
    return reader(name, sys.stdin.buffer.read())


def _import_pdfium() -> None:
    try:
        import pypdfium2  # noqa: F401
    except ImportError:
        pass  # the reader says so


def _limit(limits: Limits) -> None:
    import resource

    size = limits.memory_mib * 2**20
    wanted = {
        resource.RLIMIT_AS: size,
        resource.RLIMIT_CPU: limits.processor_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    for kind, value in wanted.items():
        try:
            resource.setrlimit(kind, (value, value if kind != resource.RLIMIT_CPU else value + 5))
        except (ValueError, OSError):  # macOS knows RLIMIT_AS, but neither sets nor enforces it on every version
            continue


def _leave_the_network() -> None:
    """Move into a network namespace without any network, where the system lets us."""
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    new_user, new_net = 0x10000000, 0x40000000
    if libc.unshare(new_net) and libc.unshare(new_user | new_net):
        return  # a container may forbid it; the audit hook is left


_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "pty.",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "shutil.", "ftplib.", "http.", "smtplib.", "urllib.", "webbrowser.", "os.kill", "signal.pthread_kill",
)  # fmt: skip


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what no reader needs: the network, other programs, and files that are not Python's own."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"a document may not do this: {event}")
    if event == "open" and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        mode, flags = arguments[1] or "", arguments[2] or 0
        writes = set(mode) & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        own = (sys.prefix, sys.base_prefix, str(PACKAGE), *(p for p in sys.path if p))
        if writes or not path.startswith(own):
            raise PermissionError(f"a document may not open {path[:100]}")


def _too_much_memory(name: str, memory_mib: int) -> ContentError:
    hint = "It may be built to do so. If you trust it, split it."
    return ContentError(f"needs more than {memory_mib} MiB of memory to read", where=name, hint=hint)


def _as_json(error: HomeroomError) -> dict[str, str]:
    kind = MachineError if isinstance(error, MachineError) else type(error)
    return {"kind": kind.__name__, "message": error.message, "where": error.where, "hint": error.hint}
