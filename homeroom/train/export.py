"""A tuned student leaves the house: a Hugging Face folder with its model card, a GGUF file, or a folder for Ollama.

    model/  ->  hf      safetensors, tokenizer, template, generation config, README.md (the card)
            ->  gguf    one file, F16 or Q8_0 (gguf_export.py)
            ->  ollama  model.gguf, Modelfile (template and stops written out), README.md

Each is written beside its place and renamed when complete. The Modelfile's template is derived from what the
tokenizer's own template writes, and used only where the pieces put together give the same text; else it is refused.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError
from homeroom.models.student import load_tokenizer
from homeroom.train.gguf_export import export_gguf, stop_tokens

KINDS = ("hf", "gguf", "ollama")
# One name for each role, in words that no template trims or changes.
SYSTEM, USER, ANSWER, AGAIN = "Qsystemq", "Quserq", "Qanswerq", "Qagainq"


def export_model(
    model: Path, out: Path, *, kind: str, weights: str = "f16", name: str = "", licence: str = "", card: str = ""
) -> Path:
    """Write a tuned student in a form that other programs read, whole or not at all; return `out`.

    Args:
        model: The Hugging Face folder of the student.
        out: A folder that does not exist or is empty; for "gguf" the file.
        kind: "hf", "gguf" or "ollama".
        weights: Of GGUF, "f16" or "q8_0".
        name: What programs call the model.
        licence: SPDX identifier, if known.
        card: The model card in Markdown; left out where it is empty.

    Raises:
        UsageError: `kind` is none of these.
        RefusedError: `out` has something in it.
        ContentError: the model cannot be said in that form.
        MachineError: the disk is full, or a package is missing.
    """
    if kind not in KINDS:
        raise UsageError(f"a model is exported as {', '.join(KINDS)}, not {kind!r}")
    if not (model / "config.json").is_file():
        raise ContentError("there is no tuned student here", where=str(model), hint="homeroom run makes one.")
    if kind == "gguf":
        return export_gguf(model, out, kind=weights, name=name, licence=licence)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RefusedError("there is something already", where=str(out), hint="Name a new folder, or empty that one.")

    def fill(folder: Path) -> None:
        if kind == "hf":
            for file in sorted(p for p in model.iterdir() if p.is_file() and not p.name.startswith(".")):
                shutil.copyfile(file, folder / file.name)
        else:
            tokenizer = load_tokenizer(model)
            text = modelfile(tokenizer, stops=stop_tokens(model, tokenizer), licence=licence)
            (folder / "Modelfile").write_text(text, encoding="utf-8")
            export_gguf(model, folder / "model.gguf", kind=weights, name=name, licence=licence)
        if card:
            (folder / "README.md").write_text(card, encoding="utf-8")

    return _whole_or_not(out, fill)


def _whole_or_not(out: Path, fill: Callable[[Path], None]) -> Path:
    temporary = out.with_name(f".{out.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        fill(temporary)
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        told = "the disk is full" if full else f"cannot be written ({error.strerror or error})"
        raise MachineError(told, where=str(out), hint="Make room, or name another folder.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


# -- Ollama --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turns:
    """What a chat template writes around the messages."""

    begin: str  # before everything
    before: dict[str, str]  # role -> what stands before such a message
    after: dict[str, str]
    ask: str  # where the next answer begins
    system: str  # the system prompt that the template itself puts in, where there is none

    def render(self, turns: Sequence[tuple[str, str]]) -> str:
        """Return the prompt for these (role, text) turns, up to where the answer begins."""
        if self.system and turns[0][0] != "system":
            turns = [("system", self.system), *turns]
        return self.begin + "".join(self.before[r] + text + self.after[r] for r, text in turns) + self.ask


def modelfile(tokenizer: Any, *, stops: Sequence[int], licence: str = "", gguf: str = "./model.gguf") -> str:
    """Return an Ollama Modelfile that makes the prompts the student was trained on.

    Args:
        tokenizer: With the chat template.
        stops: Tokens that end an answer.
        licence: SPDX identifier, if known.
        gguf: The file, relative to the Modelfile.

    Raises:
        ContentError: the template does more than write something around each message, or a part of it, an end token
            or the licence has signs that would end its place in the file: the rest would be read as instructions.
    """
    turns = turns_of(tokenizer)
    pieces = [turns.begin, turns.ask, *turns.before.values(), *turns.after.values(), turns.system]
    if any(mark in piece for piece in pieces for mark in ("{{", "}}", '"""')):
        raise ContentError("the chat template writes signs that a Modelfile cannot hold")
    ends = [str(tokenizer.convert_ids_to_tokens(stop)) for stop in stops]
    if any('"' in text or not text.isprintable() for text in (*ends, licence)):
        raise ContentError("an end token or the licence has signs that a Modelfile cannot hold")
    roles = ""
    for word, role in (("if", "system"), ("else if", "user"), ("else if", "assistant")):
        said = f"{turns.before[role]}{{{{ .Content }}}}{turns.after[role]}"
        roles += f'{{{{ {word} eq .Role "{role}" }}}}{said}'
    template = f"{turns.begin}{{{{ range .Messages }}}}{roles}{{{{ end }}}}{{{{ end }}}}{turns.ask}"
    lines = [f"FROM {gguf}", f'TEMPLATE """{template}"""']
    lines += [f'SYSTEM """{turns.system}"""'] * bool(turns.system)
    lines += [f'PARAMETER stop "{end}"' for end in ends]
    lines += [f'LICENSE """{licence}"""'] * bool(licence)
    return "\n".join(lines) + "\n"


def turns_of(tokenizer: Any) -> Turns:
    """Take a chat template apart, by what it writes around words that are known.

    Raises:
        ContentError: put together again the pieces do not give what the template writes.
    """

    def written(*turns: tuple[str, str], ask: bool = False) -> str:
        messages = [{"role": role, "content": text} for role, text in turns]
        try:
            return tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=ask, enable_thinking=False
            )
        except Exception as error:  # a template raises whatever its author chose
            raise ContentError(f"the chat template does not take a plain conversation ({error})") from None

    def around(text: str, word: str) -> tuple[str, str]:
        before, found, after = text.partition(word)
        if not found:
            raise ContentError("the chat template leaves out what was said")
        return before, after

    system, user, answer, again = ("system", SYSTEM), ("user", USER), ("assistant", ANSWER), ("user", AGAIN)
    # What stands before the first system prompt and before the first user cannot be told from what begins every
    # conversation, unless a second user shows how a user is introduced.
    _, after_user = around(written(system, user), USER)
    before_answer, after_answer = around(
        around(written(system, user, answer), USER)[1].removeprefix(after_user), ANSWER
    )
    before_user = around(around(written(system, user, answer, again), ANSWER)[1].removeprefix(after_answer), AGAIN)[0]
    before_system, rest = around(written(system, user), SYSTEM)
    after_system = around(rest, USER)[0].removesuffix(before_user)
    alone = around(written(user), USER)[0].removesuffix(before_user)  # what it writes of its own where nobody is system
    own = alone.removeprefix(before_system).removesuffix(after_system)
    injected = bool(own) and alone == before_system + own + after_system
    begin = "" if injected or not before_system.startswith(alone) else alone
    turns = Turns(
        begin=begin,
        before={"system": before_system.removeprefix(begin), "user": before_user, "assistant": before_answer},
        after={"system": after_system, "user": after_user, "assistant": after_answer},
        ask=around(written(user, ask=True), USER)[1].removeprefix(after_user),
        system=own if injected else "",
    )
    for talk in ([user], [system, user], [user, answer, again], [system, user, answer, again, answer, user]):
        if turns.render(talk) != written(*talk, ask=True):
            raise ContentError(
                "the chat template does more than write something around each message",
                hint="Export it as GGUF (--format gguf): the template itself goes into the file.",
            )
    return turns
