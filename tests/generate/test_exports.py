"""Every export is read back: all rows have one schema, nothing is lost, and InstructLab's columns are InstructLab's."""

import json
from pathlib import Path

import pytest

from homeroom.cli.export import SAMPLES
from homeroom.core.errors import ContentError
from homeroom.core.files import read_json, read_jsonl
from homeroom.core.types import Chunk, Message, Sample
from homeroom.generate.exports import FORMS, export_samples

CHUNK = Chunk(id="c", document="d", leaf="knowledge/x", title="T", heading="H", text="It opens at 7.", start=0, end=14)


def talk(name, leaf, *turns, **more):
    messages = tuple(Message(role=r, content=c) for r, c in turns)
    return Sample(id=name, kind=more.pop("kind", "direct"), leaf=leaf, messages=messages, **more)


ASKED = talk(
    "k1", "knowledge/x", ("user", "When does it open?"), ("assistant", "At 7."), chunk="c", quote="It opens at 7.",
    end=14, document="a" * 64, recipe="knowledge/questions@1", teacher="t", checks=("form", "exam"),
)  # fmt: skip
TEXT = Sample(id="k2", kind="rewrite", leaf="knowledge/x", text="T: H\n\nAt 7 it opens.", learn="all", chunk="c")
SKILL = talk("s1", "compositional_skills/y", ("user", "Shorten this.\n\nA long | “text”."), ("assistant", "Text."))
REPLAY = talk("r1", "", ("user", "Hi"), ("assistant", "Hello"), kind="replay")
ALL = [ASKED, TEXT, SKILL, REPLAY]


def written(form: str, out: Path, samples=ALL) -> dict[str, list[dict]]:
    done = export_samples(samples, {"c": CHUNK}, {"knowledge/x": "doors"}, form=form, out=out)
    return {path.name: read_jsonl(path) for path in done.files if path.suffix == ".jsonl"}


def schema(value):
    """The type of a value as a reader that builds columns sees it; every row of a file must have the same one."""
    if isinstance(value, dict):
        return {k: schema(v) for k, v in value.items()}
    if isinstance(value, list):
        kinds = [schema(v) for v in value]
        assert all(k == kinds[0] for k in kinds)
        return ["list"]  # an empty one fits any
    return type(value).__name__


@pytest.mark.parametrize("form", FORMS)
def test_all_rows_of_a_file_have_one_schema_and_replay_is_not_handed_on(form, tmp_path):
    for rows in written(form, tmp_path).values():
        assert rows
        assert all(schema(row) == schema(rows[0]) for row in rows)
        assert "Hello" not in json.dumps(rows)


@pytest.mark.parametrize("form", FORMS)
def test_the_datasets_library_reads_it_back(form, tmp_path):
    """It brings pyarrow and pandas, 150 MB for four lines, so it is used where it is and not asked for."""
    datasets = pytest.importorskip("datasets")
    for name, rows in written(form, tmp_path).items():
        read = datasets.load_dataset("json", data_files=str(tmp_path / name), cache_dir=str(tmp_path / "cache"))[
            "train"
        ]
        assert [dict(row) for row in read] == rows


def test_messages_hold_everything_with_its_origin(tmp_path):
    rows = written("messages", tmp_path)["messages.jsonl"]
    assert [r["id"] for r in rows] == ["k1", "k2", "s1"]
    assert rows[1]["text"] == TEXT.text
    origin = json.loads(rows[0]["metadata"])
    assert (origin["quote"], origin["bytes"], origin["checks"]) == ("It opens at 7.", [0, 14], ["form", "exam"])


def test_instructlab_gets_the_passage_before_the_question_and_the_loss_on_all_of_it(tmp_path):
    rows = written("instructlab-knowledge", tmp_path)["knowledge_train_msgs.jsonl"]
    assert [r["unmask"] for r in rows] == [True, True]
    assert rows[0]["messages"][0] == {"role": "user", "content": "It opens at 7.\n\nWhen does it open?"}
    metadata = json.loads(rows[0]["metadata"])
    assert {"sdg_document", "domain", "dataset", "raw_document", "dataset_type"} <= set(metadata)
    assert metadata["domain"] == "doors"
    skills = written("instructlab-skills", tmp_path)["skills_train_msgs.jsonl"]
    assert [(r["id"], r["unmask"]) for r in skills] == [("s1", False)]


def test_alpaca_has_the_context_as_input_and_counts_what_has_no_place(tmp_path):
    done = export_samples(ALL, {"c": CHUNK}, {}, form="alpaca", out=tmp_path)
    rows = read_jsonl(done.files[0])
    assert rows[1] == {"instruction": "Shorten this.", "input": "A long | “text”.", "output": "Text."}
    assert (done.rows, done.left_out) == (2, 1)


def test_llama_factory_finds_its_files_and_columns(tmp_path):
    tables = written("llama-factory", tmp_path)
    info = read_json(tmp_path / "dataset_info.json")
    assert {v["file_name"] for v in info.values()} == set(tables)
    sft = info["homeroom_sft"]
    turn = tables["homeroom_sft.jsonl"][0][sft["columns"]["messages"]][0]
    assert (turn[sft["tags"]["role_tag"]], turn[sft["tags"]["content_tag"]]) == ("human", "When does it open?")
    assert tables["homeroom_pt.jsonl"] == [{"text": TEXT.text}]


def test_a_form_without_a_place_for_any_sample_says_so(tmp_path):
    with pytest.raises(ContentError, match="none of the 1 samples"):
        written("instructlab-skills", tmp_path, [ASKED])


def test_the_command_offers_what_there_is():
    assert set(SAMPLES) == set(FORMS)
