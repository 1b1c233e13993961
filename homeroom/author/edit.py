"""Small edits of a `qna.yaml` that leave the rest of the file as a person wrote it.

An edit is made in the text, at the place that the parsed nodes name, so comments, order and the way texts are written
stay. Then the file is read again: what it says must be the old leaf with exactly the change that was meant, or the
edit is refused with the lines to add by hand.
"""

from __future__ import annotations

from dataclasses import replace

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from homeroom.author.qna import field_lines, pair_lines, tidy
from homeroom.core.errors import ContentError
from homeroom.core.types import Leaf, Seed
from homeroom.core.words import words
from homeroom.taxonomy.parse import decoded, fields, parse
from homeroom.taxonomy.problem import Faults
from homeroom.taxonomy.rules import Tree, read_leaf


class LeafText:
    """A `qna.yaml` as text and as the leaf that it describes.

    Raises:
        ContentError: it is not a valid leaf.
    """

    def __init__(self, content: bytes, leaf: str) -> None:
        self.path = leaf
        self._tree: Tree = "knowledge" if leaf.startswith("knowledge") else "compositional_skills"
        self.text, self._top, self.leaf = self._read(content)

    def _read(self, content: bytes) -> tuple[str, MappingNode, Leaf]:
        faults = Faults(f"{self.path}/qna.yaml")
        text, top = decoded(content, faults), parse(content, faults)
        leaf = read_leaf(top, path=self.path, tree=self._tree, faults=faults) if top is not None else None
        if text is None or leaf is None or not isinstance(top, MappingNode) or faults.has_error:
            said = next((p.message for p in faults.found if p.severity == "error"), "cannot be read")
            raise ContentError(said, where=f"{self.path}/qna.yaml", hint="homeroom check shows every fault.")
        return text, top, leaf

    def with_pair(self, context: str, seed: Seed) -> LeafText:
        """Return this with one more question for the example whose context this is (knowledge)."""
        example = self._example(context)
        pairs = fields(example)["questions_and_answers"][1]
        place = max(n for n, s in enumerate(self.leaf.seeds) if flat(s.context) == flat(context)) + 1
        seeds = (*self.leaf.seeds[:place], replace(seed, context=context), *self.leaf.seeds[place:])
        return self._appended(pairs, pair_lines(seed, _dash(self.text, pairs)), seeds)

    def with_context(self, old: str, new: str) -> LeafText:
        """Return this with one context replaced (knowledge)."""
        example = self._example(old)
        key, value = fields(example)["context"]
        seeds = tuple(replace(s, context=new) if flat(s.context) == flat(old) else s for s in self.leaf.seeds)
        return self._replaced("context", key, value, new, seeds)

    def with_answer(self, question: str, answer: str) -> LeafText:
        """Return this with another answer to a question that is asked here."""
        wanted = words(question)
        for node in _pairs(self._top):
            found = fields(node)
            asked = found["question"][1]
            if isinstance(asked, ScalarNode) and words(asked.value) == wanted:
                seeds = tuple(
                    replace(s, answer=tidy(answer)) if words(s.question) == wanted else s for s in self.leaf.seeds
                )
                return self._replaced("answer", *found["answer"], answer, seeds)
        raise ContentError("the question is not asked here", where=f"{self.path}/qna.yaml")

    def with_example(self, seed: Seed) -> LeafText:
        """Return this with one more example (skill)."""
        examples = fields(self._top)["seed_examples"][1]
        lines = pair_lines(seed, _dash(self.text, examples), with_context=True)
        return self._appended(examples, lines, (*self.leaf.seeds, seed))

    def _example(self, context: str) -> MappingNode:
        for node in fields(self._top)["seed_examples"][1].value:
            value = fields(node)["context"][1]
            if flat(value.value) == flat(context):
                return node
        raise ContentError("there is no such context", where=f"{self.path}/qna.yaml")

    def _appended(self, sequence: Node, lines: list[str], seeds: tuple[Seed, ...]) -> LeafText:
        end = _end(self.text, sequence)
        before = self.text[:end] if self.text[:end].endswith("\n") else f"{self.text[:end]}\n"
        return self._checked(before + "\n".join(lines) + "\n" + self.text[end:].removeprefix("\n"), seeds, lines)

    def _replaced(self, name: str, key: Node, value: Node, new: str, seeds: tuple[Seed, ...]) -> LeafText:
        lines = field_lines(name, new, key.start_mark.column)
        end = _end(self.text, value)
        after = self.text[end:] if self.text[:end].endswith("\n") else self.text[end:].removeprefix("\n")
        text = self.text[: key.start_mark.index] + "\n".join(lines).lstrip() + "\n" + after
        return self._checked(text, seeds, lines)

    def _checked(self, text: str, seeds: tuple[Seed, ...], lines: list[str]) -> LeafText:
        try:
            made = LeafText(text.encode("utf-8", "surrogatepass"), self.path)
        except ContentError:
            made = None
        wanted = tuple(replace(s, question=tidy(s.question), answer=tidy(s.answer)) for s in seeds)
        if made is None or _said(made.leaf.seeds) != _said(wanted) or replace(made.leaf, seeds=()) != self._bare:
            raise ContentError(
                "is written in a way that a program cannot add to without changing the rest",
                where=f"{self.path}/qna.yaml",
                hint="Add these lines by hand:\n" + "\n".join(lines),
            )
        return made

    @property
    def _bare(self) -> Leaf:
        return replace(self.leaf, seeds=())


def _said(seeds: tuple[Seed, ...]) -> list[tuple[str, ...]]:
    return [(flat(s.question), flat(s.answer), flat(s.context)) for s in seeds]


def flat(text: str) -> str:
    """Return a text with single spaces for all white space."""
    return " ".join(text.split())


def _pairs(top: MappingNode) -> list[MappingNode]:
    """Return the mappings that hold a question and its answer."""
    found = []
    for example in fields(top)["seed_examples"][1].value:
        inner = fields(example).get("questions_and_answers")
        found += inner[1].value if inner else [example]
    return [node for node in found if {"question", "answer"} <= fields(node).keys()]


def _dash(text: str, sequence: Node) -> int:
    """Return the column of the hyphens of a list."""
    item = sequence.value[-1].start_mark
    begin = item.index - item.column
    return max(0, text.rfind("-", begin, item.index) - begin) if isinstance(sequence, SequenceNode) else 0


def _end(text: str, node: Node) -> int:
    """Return where the last line of a node ends, its line end included; comments after it stay after it."""
    while not isinstance(node, ScalarNode):
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    end = node.end_mark.index
    if node.style in ("|", ">"):
        return len(text[:end].rstrip("\n")) + 1
    line_end = text.find("\n", end)
    return len(text) if line_end < 0 else line_end + 1
