"""The house keeps its own rules: layers, lazy torch, who prints, size of functions, docs for each command."""

from __future__ import annotations

import ast
import doctest
import importlib
import io
import os
import re
import resource
import socket
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import imports_torch

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "homeroom"
SCREEN = 60  # lines of a function, its docstring left out
MARK = re.compile(r"#\s*long: \S.{8,}")  # the reason that lets a function be longer: "# long: one loop, read as one"

# A module may import from groups before its own, and from its own folder. Stages may not import one another.
LAYERS = [
    ["core"],
    ["models"],
    ["taxonomy", "documents", "generate", "train", "evaluate", "serve"],
    ["pipeline"],
    ["author", "jobs", "community", "cluster"],
    ["web", "bots"],
    ["cli"],  # starts the others
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = {"torch", "transformers"}
MAY_IMPORT_TORCH = ("train/", "models/torch_engine.py", "models/student.py")

SOURCES = sorted(PACKAGE.rglob("*.py"))
NAMES = [path.relative_to(PACKAGE).as_posix() for path in SOURCES]
sources = pytest.mark.parametrize("path", SOURCES, ids=NAMES)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(module: ast.Module, *, top_only: bool = False) -> Iterator[tuple[str, int]]:
    """Yield the dotted names that a module imports, with their lines; `if TYPE_CHECKING` counts too."""
    nodes = list(_outside_functions(module)) if top_only else list(ast.walk(module))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def layer_faults(group: str, names: list[tuple[str, int]]) -> list[str]:
    """Say which imports a module of `group` ("train", "pipeline", ...) must not make."""
    faults = []
    for name, line in names:
        parts = name.split(".")
        if parts[0] != "homeroom" or len(parts) < 2 or parts[1] not in LEVEL or parts[1] == group:
            continue
        if LEVEL[parts[1]] >= LEVEL[group]:
            faults.append(f"line {line}: {group} must not import {name}")
    return faults


def test_a_stage_that_imports_another_or_a_later_layer_would_be_found():
    """The check itself: without this, a slip in it would let everything pass."""
    code = ast.parse("import homeroom.core.files\ndef f():\n    from homeroom.evaluate import grade\n")
    assert layer_faults("train", list(imported(code))) == ["line 3: train must not import homeroom.evaluate.grade"]
    assert layer_faults("core", [("homeroom.models.store", 1)])
    assert not layer_faults("cli", [("homeroom.train.loop", 1), ("homeroom.pipeline.run", 1)])


@sources
def test_imports_go_one_way(path: Path):
    group = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if group in ("__init__", "__main__"):
        assert not [n for n, _ in imported(tree(path), top_only=True) if n.startswith("homeroom.")]
        return
    assert group in LEVEL, f"{group} is in no layer of design: say where it belongs"
    assert not [node for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.level]
    assert not layer_faults(group, list(imported(tree(path))))


@sources
def test_torch_is_imported_at_the_top_only_where_it_lives(path: Path):
    name = path.relative_to(PACKAGE).as_posix()
    if not name.startswith(MAY_IMPORT_TORCH):
        assert not [(n, line) for n, line in imported(tree(path), top_only=True) if n.split(".")[0] in HEAVY]


def prints(module: ast.Module) -> list[int]:
    """Return the lines that print, ask or exit; writing to a file, and `__main__`, are left out."""
    names = {"print", "input", "exit", "quit"}
    library = [node for node in module.body if not _is_program(node)]
    calls = [node for part in library for node in ast.walk(part) if isinstance(node, ast.Call)]
    into = {id(node): next((ast.unparse(k.value) for k in node.keywords if k.arg == "file"), "") for node in calls}
    calls = [node for node in calls if into[id(node)] in ("", "None", "sys.stdout", "sys.stderr")]
    lines = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id in names]
    for node in calls:
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in ("sys.exit", "click.echo", "os._exit"):
            lines.append(node.lineno)
    return sorted(lines)


def _is_program(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def test_a_print_would_be_found():
    code = "import sys\nprint(1)\nsys.exit(2)\nfile.print()\nprint(1, file=address)\nprint(2, file=sys.stderr)"
    assert prints(ast.parse(code)) == [2, 3, 6]


# A program that runs in a process of its own ends itself; it is not the library.
CHILD_PROGRAMS = ("models/engine_server.py",)


@sources
def test_only_the_front_doors_print_ask_or_exit(path: Path):
    name = path.relative_to(PACKAGE).as_posix()
    if not name.startswith(("cli/", "web/", "bots/", *CHILD_PROGRAMS)):
        assert not prints(tree(path))


def too_long(source: str) -> list[str]:
    """Name the functions that do not fit on a screen and do not say why."""
    lines = source.splitlines()
    faults = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = node.end_lineno - node.lineno + 1
        first = node.body[0]
        if ast.get_docstring(node, clean=False) is not None:
            length -= first.end_lineno - first.lineno + 1
        head = "\n".join(lines[node.lineno - 1 : first.end_lineno + 1])
        if length > SCREEN and not MARK.search(head):
            faults.append(f"{node.name} (line {node.lineno}) has {length} lines")
    return faults


def test_a_function_longer_than_a_screen_would_be_found_unless_it_says_why():
    body = "    x = 1\n" * SCREEN
    assert too_long(f"def f():\n{body}") == ["f (line 1) has 61 lines"]
    assert not too_long(f'def f():\n    """One.\n\n    Two.\n    """\n{body[:-10]}')
    assert not too_long(f"def f():  # long: one loop that is read from top to bottom\n{body}")
    assert too_long(f"def f():  # long: yes\n{body}")


ALL_CODE = [*SOURCES, *sorted(p for d in ("dev", "tests", "benchmarks") for p in (ROOT / d).rglob("*.py"))]


@pytest.mark.parametrize("path", ALL_CODE, ids=[p.relative_to(ROOT).as_posix() for p in ALL_CODE])
def test_every_function_fits_on_a_screen_or_says_why_not(path: Path):
    assert not too_long(path.read_text(encoding="utf-8"))


@sources
def test_every_module_says_what_it_is(path: Path):
    assert len(ast.get_docstring(tree(path)) or "") >= 20


def test_every_folder_of_code_is_a_package():
    folders = {path.parent for path in SOURCES if "data" not in path.relative_to(PACKAGE).parts}
    assert not [folder.name for folder in folders if not (folder / "__init__.py").is_file()]


WITH_EXAMPLES = [path for path in SOURCES if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_the_examples_in_docstrings_are_true(path: Path):
    names = [name for name, _ in imported(tree(path), top_only=True)]
    if any(name.split(".")[0] in HEAVY or name.startswith("homeroom.train") for name in names):
        pytest.importorskip("torch")
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed


# -- names of this machine ------------------------------------------------------------------------------------------

# Written in pieces, so that this file does not hold what it looks for.
SECRETS = ["/ro" + "ot/", "/wo" + "rk/", "/opt/" + "pypi", "/opt/" + "wheels", "/tmp/" + "w/", "file:/" + "//opt"]
HOSTS = ["py" + "pi.org", "python" + "hosted.org", "registry." + "npmjs", "deb." + "debian.org"]
TEXT = {".py", ".md", ".txt", ".in", ".toml", ".yaml", ".yml", ".json", ".jsonl", ".html", ".css", ".js", ".sh", ""}


def tracked() -> list[Path]:
    """Return the files that are, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_path_of_this_machine_or_a_registry_host():
    unwanted = [*SECRETS, *HOSTS, f"{ROOT}/"] + [f"{Path.home()}/"] * (len(str(Path.home())) > 1)
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in tracked()
        if path.suffix in TEXT and path.stat().st_size < 2_000_000
        for text in unwanted
        if text in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert not found


def test_no_large_file_and_no_weights_are_in_the_repository():
    large = [f"{p.relative_to(ROOT)} ({p.stat().st_size:,} bytes)" for p in tracked() if p.stat().st_size > 400_000]
    weights = [p.name for p in tracked() if p.suffix in (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".whl")]
    assert not large + weights


# -- dependencies ---------------------------------------------------------------------------------------------------


def lines_of(path: Path) -> list[str]:
    text = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in text if line and not line.startswith("-")]


def test_the_lists_to_lock_say_what_pyproject_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    run = {*project["dependencies"], *(r for e in ("train", "engine", "serve", "web", "documents") for r in extras[e])}
    torch = {r for r in run if r.startswith("torch")}
    assert len(torch) == 1
    assert run - torch <= set(lines_of(ROOT / "requirements/run.in"))
    assert set(extras["dev"]) == set(lines_of(ROOT / "requirements/dev.in"))


@pytest.mark.parametrize("name", ["run", "dev"])
def test_every_locked_package_has_a_version_and_a_hash_and_none_is_torch_or_cuda(name: str):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(entries) > 20
    assert not [e for e in entries if not re.match(r"[a-z0-9-]+==[^\s]+.*?--hash=sha256:[0-9a-f]{64}", e, re.DOTALL)]
    assert not [e.split("==")[0] for e in entries if re.match(r"(torch|nvidia|triton|cuda)", e)]


# -- what conftest.py promises --------------------------------------------------------------------------------------


def test_a_test_that_reaches_out_fails():
    with socket.socket() as outside, pytest.raises(AssertionError, match="tried to reach"):
        outside.connect(("203.0.113.1", 9))


def test_a_test_file_that_needs_torch_is_known_by_its_imports():
    assert imports_torch("from homeroom.train import loop")
    assert imports_torch("from homeroom.models import torch_engine")
    assert imports_torch("import torch.nn")
    assert not imports_torch("def f():\n    import torch")
    assert not imports_torch("from homeroom.models import endpoint")
    assert not imports_torch("import torchless")


# -- the command line -----------------------------------------------------------------------------------------------


def run_cli(*args: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.argv[0] = 'homeroom'; sys.path.insert(0, {str(ROOT)!r})\n"
    code += "import atexit; atexit.register(lambda: print('LOADED', *sorted(sys.modules), file=sys.stderr))\n"
    code += "from homeroom.cli.main import main; main()"
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=300)


def test_help_loads_nothing_heavy():
    shown = run_cli("--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage" in shown.stdout
    loaded = {name.split(".")[0] for name in shown.stderr.split("LOADED", 1)[1].split()}
    assert not loaded & {"torch", "transformers", "numpy", "httpx", "jinja2", "yaml", "xllamacpp", "starlette"}


def test_help_takes_less_than_200_ms_of_a_processor():
    """Processor time, not the clock's: other programs on the machine do not change it. The best of three counts."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", "from homeroom.cli.main import main; main()", "--help"]
        subprocess.run(command, check=True, capture_output=True, env=env, timeout=300)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(spent) < 0.2, f"homeroom --help takes {min(spent) * 1000:.0f} ms"


def test_every_command_is_documented_as_its_help_says():
    page = ROOT / "docs" / "commands.md"
    assert page.is_file(), "make docs"
    # In a process of its own: click keeps what an earlier test's call of a command made of its options.
    program = "import sys; sys.path[:0] = ['dev', '.']; import make_docs; print(make_docs.commands_page(), end='')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, timeout=300)
    assert page.read_text(encoding="utf-8") == done.stdout.decode(), "docs/commands.md is old: make docs"


def test_every_page_that_a_page_links_to_exists():
    broken = []
    for page in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken


def test_no_comment_is_code_left_out_or_a_task_for_nobody():
    found = []
    for path in ALL_CODE:
        if path == Path(__file__):
            continue
        readline = io.StringIO(path.read_text(encoding="utf-8")).readline
        for token in tokenize.generate_tokens(readline):
            if token.type == tokenize.COMMENT and re.search(r"\b(TODO|FIXME|XXX)\b", token.string):
                found.append(f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}")
    assert not found
