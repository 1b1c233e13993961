"""Write `docs/commands.md` from what `homeroom --help` and every command's `--help` say (`make docs`).

`tests/test_house.py` compares the page with a fresh one, so that no command is left undocumented and none is
described as it once was.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTRO = """\
# Commands

Made from `--help` by `make docs`; change the commands, not this page. Exit codes: 0 good; 1 failed; 2 usage; 3 content
invalid; 4 this machine cannot; 5 refused by policy or by a gate; 6 stopped by SIGTERM, 130 by Ctrl-C (both can be
resumed). `--json` prints one JSON object with `"version": 1` on stdout; messages go to stderr.
"""


def commands_page() -> str:
    """Return the page: the help of the program, then of each command and its subcommands, in the order of `--help`."""
    sys.path.insert(0, str(ROOT))
    try:
        from homeroom.cli.main import cli
    finally:
        sys.path.remove(str(ROOT))
    sections = [INTRO]
    for name, text in all_help(cli, "homeroom"):
        depth = min(len(name.split()), 3)
        sections.append(f"{'#' * (depth + 1)} `{name}`\n\n```text\n{text.strip()}\n```\n")
    return "\n".join(sections)


def all_help(command, name: str, parent=None) -> list[tuple[str, str]]:
    """Return the full name and the help text of a click command and of all below it."""
    import click

    # A fixed width: the page must not depend on the terminal it was made in.
    settings = command.context_settings | {"max_content_width": 100, "terminal_width": 100}
    context = click.Context(command, info_name=name.split()[-1], parent=parent, **settings)
    found = [(name, command.get_help(context))]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            got = command.get_command(context, child)
            if got is not None and not got.hidden:
                found += all_help(got, f"{name} {child}", context)
    return found


def main() -> int:
    """Write the page and return the exit code."""
    page = ROOT / "docs" / "commands.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(commands_page(), encoding="utf-8")
    print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
