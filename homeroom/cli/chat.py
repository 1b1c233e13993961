"""`homeroom chat`: talk to a student, or to base and tuned side by side."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import can_redraw, printable, show

HELP = """\
/sources        the words of the documents that the last answer rests on, or that a search finds for it
/why            the training samples nearest to the last answer
/correct        the last answer is wrong: say what is right, and it becomes a contribution
/save FILE      what was said, as Markdown; nothing is overwritten
/new            forget what was said
/quit           leave (or Ctrl-D)"""
MIN_COLUMNS = 80  # of a terminal that shows two answers side by side


@click.command()
@click.argument("model", metavar="COURSE|MODEL")
@click.option("--compare", is_flag=True, help="Ask the base as well, and show both answers.")
@click.option("--sources", is_flag=True, help="Look every question up in the course's documents first.")
@click.option("--system", default="", help="A system prompt.")
@click.option("--max-tokens", default=200, show_default=True, type=click.IntRange(1, 4096))
@click.option("--temperature", default=0.0, show_default=True, type=click.FloatRange(0, 2))
@click.option("-q", "--question", help="Ask this one question and leave.")
def chat(model: str, compare: bool, sources: bool, question: str | None, **manner: Any) -> None:
    """Talk to a COURSE's student, or to a MODEL (a folder, a .gguf file, a name in the catalog).

    /help lists what else can be typed: /sources, /why, /correct, /save, /new, /quit.
    """
    talk = Talk(model, compare, sources, **manner)
    if question is None and not sys.stdin.isatty():
        question = sys.stdin.read()
    if question is not None:
        talk.ask(question)
        if sources:
            talk.show_sources()
        return
    click.echo("Ask, and press Enter. /help lists what else there is, /quit leaves.", err=True)
    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            break
        if text == "/quit":
            break
        if text:
            _do(talk, text)


def _do(talk: Talk, text: str) -> None:
    from homeroom.core.errors import HomeroomError

    word, _, rest = text.partition(" ")
    commands = {
        "/help": lambda: click.echo(HELP),
        "/new": talk.forget,
        "/sources": talk.show_sources,
        "/why": talk.show_why,
        "/correct": talk.correct,
        "/save": lambda: talk.save(rest.strip()),
    }
    try:
        if word.startswith("/") and word not in commands:
            click.echo(f"There is no {word}.\n{HELP}")
        else:
            commands.get(word, lambda: talk.ask(text))()
    except KeyboardInterrupt:
        click.echo(" (stopped)")
    except (HomeroomError, click.Abort) as error:
        show(f"error: {error}" if isinstance(error, HomeroomError) else "", err=True)


class Talk:
    """A person's talk with one model or two."""

    def __init__(
        self, model: str, compare: bool, sources: bool, *, system: str, max_tokens: int, temperature: float
    ) -> None:
        from homeroom.core.errors import UsageError
        from homeroom.models.torch_engine import TorchEngine
        from homeroom.pipeline.course import base_of, student_folder
        from homeroom.pipeline.serving import encoder, open_library
        from homeroom.serve.chat import Conversation, Manner

        folders: dict[str, Path] = {"tuned" if compare else "": student_folder(model)}
        if compare:
            folders = {"base": base_of(model)} | folders
        self.course = Path(model) if (Path(model) / "out").is_dir() else None
        self._embed: Any = None
        self._encoder, self._open_library = encoder, open_library
        library = self._library() if sources else None
        if sources and library is None:
            raise UsageError("has no documents to look things up in", where=model, hint="Leave --sources out.")
        manner = Manner(max_tokens=max_tokens, temperature=temperature)
        self.conversations = {
            name: Conversation(TorchEngine(folder), system=system, manner=manner, library=library)
            for name, folder in folders.items()
        }

    @property
    def tuned(self) -> Any:
        """The conversation with the student."""
        return list(self.conversations.values())[-1]

    def ask(self, text: str) -> None:
        """Put a question to every model, and show the answers as they come; two in columns where there is room."""
        from homeroom.serve.chat import columns, compare

        width = shutil.get_terminal_size().columns
        if len(self.conversations) > 1 and sys.stdout.isatty() and width >= MIN_COLUMNS:
            said = dict.fromkeys(self.conversations, "")
            redraw = can_redraw(sys.stderr)
            for piece in compare(self.conversations, text):
                said[piece.name] += piece.text
                if redraw:
                    told = f"\r{piece.name} answers, {len(said[piece.name])} characters\033[K"
                    click.echo(told, nl=False, err=True)
            if redraw:
                click.echo("\r\033[K", nl=False, err=True)
            for line in columns({name: printable(answer) for name, answer in said.items()}, width=width - 1):
                click.echo(line)
            return
        shown = None
        for piece in compare(self.conversations, text):
            if piece.name != shown:
                if shown is not None:
                    click.echo("")
                shown = piece.name
                name = f"{piece.name:>5}  " if piece.name else ""
                bold = bool(name) and can_redraw(sys.stdout) and not os.environ.get("NO_COLOR")
                click.echo(click.style(name, bold=True) if bold else name, nl=False)
            click.echo(printable(piece.text), nl=False)
        click.echo("")

    def forget(self) -> None:
        """Begin anew."""
        for conversation in self.conversations.values():
            conversation.forget()

    def show_sources(self) -> None:
        """Show what the last answer was given to read, or what a search finds for its question."""
        question, _ = self._last()
        library = self._library()
        sources = self.tuned.sources or (library.search(question, most=3) if library else ())
        if not sources:
            click.echo("No document of this course says anything near it.")
        for source in sources:
            page = f", page {source.page}" if source.page else ""
            place = f"{source.leaf}: {source.document}{page}, bytes {source.start}-{source.end}"
            click.echo(f'"{printable(source.text)}"\n    {printable(place)} ({printable(source.heading)})')

    def show_why(self) -> None:
        """Show the training samples nearest to the last answer."""
        from homeroom.core.files import read_jsonl
        from homeroom.core.types import Sample
        from homeroom.serve.retrieval import nearest_samples

        question, answer = self._last()
        path = self._course() / "out" / "dataset" / "train.jsonl"
        samples = read_jsonl(path, Sample)
        for sample in nearest_samples(samples, question, answer, embed=self._encode()):
            said = sample.text or "\n    ".join(f"{m.role}: {m.content}" for m in sample.messages if m.role != "system")
            click.echo(f"{sample.id}  {sample.kind}  {sample.leaf}\n    {printable(said[:500])}")
            if sample.quote:
                click.echo(f'    rests on: "{printable(sample.quote)}"')

    def correct(self) -> None:
        """Ask for the right answer, and leave a contribution."""
        from homeroom.author.correct import NeedsPassage
        from homeroom.author.correct import correct as make
        from homeroom.cli.correct import told

        course = self._course()
        question, wrong = self._last()
        given = {"wrong": wrong, "embed": self._encode()}
        right = input("The right answer: ").strip()
        try:
            made = make(course, question, right, **given)
        except NeedsPassage as error:
            show(error.message)
            passage = input("The words that say it (Enter gives up): ").strip()
            if not passage:
                return
            made = make(course, question, right, passage=passage, **given)
        for line in told(made):
            show(line)

    def save(self, name: str) -> None:
        """Write what was said to a new file."""
        from homeroom.core.errors import RefusedError, UsageError
        from homeroom.serve.chat import transcript

        if not name:
            raise UsageError("/save needs the name of a file", hint="/save talk.md")
        self._last()
        try:
            with Path(name).expanduser().open("x", encoding="utf-8") as file:
                file.write(transcript(self.conversations))
        except FileExistsError:
            raise RefusedError("is there already", where=name, hint="Name another file.") from None
        except OSError as error:
            raise UsageError(f"cannot be written ({error.strerror})", where=name) from None
        click.echo(f"Written to {name}")

    def _last(self) -> tuple[str, str]:
        from homeroom.core.errors import UsageError

        question, answer = self.tuned.last()
        if not question:
            raise UsageError("nothing was asked yet")
        return question, answer

    def _course(self) -> Path:
        from homeroom.core.errors import UsageError

        if self.course is None:
            raise UsageError("only a course has training samples and documents", hint="homeroom chat COURSE")
        return self.course

    def _encode(self) -> Any:
        self._embed = self._embed or self._encoder()
        return self._embed

    def _library(self) -> Any:
        return self._open_library(self.course, self._encode()) if self.course else None
