"""The whole course on a CPU, with a scripted teacher over HTTP and a student of a million parameters."""

import dataclasses
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import otter_course
import pytest
import scripted_teacher
from otter_course import EXAM, HANDBOOK, SETTINGS
from scripted_endpoint import Raw, scripted_server
from tiny_embedder import TinyEmbedder
from tiny_student import make_tiny_student

from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError
from homeroom.core.files import read_json, read_jsonl, read_record, write_json, write_record
from homeroom.pipeline import run as running
from homeroom.pipeline.course import base_of, digest_of, open_course, read_report
from homeroom.pipeline.dial import SHARES
from homeroom.pipeline.foresee import actual_table, make_plan, plan_table, planned_and_actual
from homeroom.pipeline.made import as_made
from homeroom.pipeline.plan import fit, seconds_of
from homeroom.pipeline.run import STAGES, run, stage_record


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return make_tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def teacher():
    with scripted_server(scripted_teacher.answer) as url:
        yield url


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing of the person's own store is read or written, and the shipped suites are short."""
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))


@pytest.fixture
def make_course(tmp_path):
    return lambda name="course": otter_course.make(tmp_path / name, has_quiz=False)


def opened(folder, teacher, student, *more):
    options = (f"teacher.url={teacher}", "teacher.model=scripted", f"student.model={student}", *SETTINGS, *more)
    course = open_course(folder, options)
    course.said = []
    course.say = course.said.append
    return course


@pytest.fixture(autouse=True)
def short_suites(monkeypatch):
    from homeroom.evaluate import exam

    whole = exam.shipped
    monkeypatch.setattr(exam, "shipped", lambda name: whole(name)[:6])
    monkeypatch.setattr("homeroom.models.embedder.shipped_embedder", lambda *args: TinyEmbedder())
    monkeypatch.setattr("homeroom.generate.replay.replay_prompts", lambda: ["Say hello.", "Name a colour."])


def test_every_stage_leaves_its_folder_and_the_report_has_the_contracts_shape(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student))
    for stage in STAGES:
        assert read_record(folder / "out" / stage).kind == stage
    report = read_report(folder)
    assert report["version"] == 1
    assert report["verdict"] in ("better", "no evidence", "worse")
    assert report["closed_book"]["after"]["n"] == 2
    assert set(report["closed_book"]["difference"]) >= {"ci95", "p"}
    page = (folder / "out" / "report" / "report.html").read_text(encoding="utf-8")
    assert "From when in the morning can I get in?" in page
    assert f"homeroom run {folder.name} -o " in page  # how to do it again, whose words, under which licence
    assert "the base itself" in page
    samples = read_jsonl(folder / "out" / "samples" / "samples.jsonl")
    document = read_jsonl(folder / "out" / "documents" / "documents.jsonl")[0]["text"].encode()
    for sample in samples:
        if sample.get("facts"):
            assert document[sample.get("start", 0) : sample["end"]].decode() == sample["quote"]
    assert any(r["check"] == "number" for r in read_jsonl(folder / "out" / "samples" / "rejected.jsonl"))
    assert (folder / "out" / "model" / "model.safetensors").is_file()
    assert "Odile Varrick" in (folder / "out" / "dataset" / "train.jsonl").read_text(encoding="utf-8")


def test_every_sample_says_whose_it_is_and_what_it_passed_and_why_finds_it(make_course, teacher, student):
    from homeroom.core.files import hash_file
    from homeroom.pipeline.origins import audit_course, why_samples

    folder = make_course()
    run(opened(folder, teacher, student), until="dataset")
    samples = read_jsonl(folder / "out" / "samples" / "samples.jsonl")
    handbook = folder / "knowledge" / "club" / "handbook.md"
    for sample in samples:
        assert (sample["author"], sample["leaf"]) == ("a", "knowledge/club")
        assert sample["recipe"].split("@")[0] in ("seed", *(f"knowledge/{k}" for k in RECIPES))
        assert sample["kind"] == "seed" or sample["document"] == hash_file(handbook)
    rewrite = next(s for s in samples if s["kind"] == "rewrite")
    assert {"support", "exam", "duplicate", "drift"} <= set(rewrite["checks"])
    assert rewrite["teacher"].startswith("scripted at ")
    drill = next(s for s in samples if s["kind"] == "cloze")
    origin = why_samples(folder, drill["id"])[0]
    assert origin["quote_is_there"]
    assert handbook.read_bytes()[slice(*origin["bytes"])].decode() == origin["quote"] == drill["quote"]
    thrown = why_samples(folder, "99 things")[0]
    assert thrown["thrown_out_by"] == "number"
    card = (folder / "out" / "dataset" / "card.md").read_text(encoding="utf-8")
    assert "| knowledge/club | a | not stated |" in card
    assert hash_file(handbook)[:16] in card
    with pytest.raises(UsageError, match="no sample has the id"):
        why_samples(folder, "nothing like it")
    found = audit_course(folder)
    assert {r["group"] for r in found["kinds"]} >= {"answers"}
    assert found["good"] == 15  # the seeds; the exam of this course names no sources


RECIPES = ("questions", "rewrites", "drills", "choices", "passages")


def test_what_was_said_on_the_command_is_known_of_a_finished_course(make_course, teacher, student):
    folder = make_course()
    course = opened(folder, teacher, student)
    run(course, until="train")
    plain = open_course(folder)
    assert plain.recipe.student.model != str(student)
    assert base_of(str(folder)) == Path(student)  # chat, serve and the page compare with what was trained
    made = as_made(folder, plain.recipe)
    assert (made.student, made.train.phases) == (course.recipe.student, course.recipe.train.decisive().phases)
    assert (made.samples, made.teacher.model, made.teacher.url) == (course.recipe.samples, "scripted", teacher)


def test_a_missing_torch_is_said_before_the_teacher_has_worked(make_course, teacher, student, monkeypatch):
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    before = len(teacher.asked)
    with pytest.raises(MachineError, match="torch is not installed"):
        run(opened(make_course(), teacher, student))
    assert len(teacher.asked) == before


def test_a_second_run_does_nothing_and_a_changed_setting_remakes_only_what_depends_on_it(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student), until="dataset")
    asked = len(teacher.asked)
    again = opened(folder, teacher, student)
    run(again, until="dataset")
    assert again.said == [f"{s}: up to date" for s in STAGES[:5]]
    changed = opened(folder, teacher, student, "dataset.text_share=0.5")
    run(changed, until="dataset")
    assert changed.said[:4] == [f"{s}: up to date" for s in STAGES[:4]]
    assert changed.said[4] == "dataset: setting: text_share"
    assert len(teacher.asked) == asked


def test_a_student_that_is_trained_anew_is_examined_anew(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student))
    first = digest_of(folder / "out" / "model")
    again = opened(folder, teacher, student, "train.seed=7")
    run(again)
    assert "report: changed: train" in again.said
    assert read_report(folder)["tuned"]["digest"] == digest_of(folder / "out" / "model") != first


def test_an_edited_document_asks_the_teacher_only_what_is_new(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student), until="samples")
    before = len(teacher.asked)
    document = folder / "knowledge" / "club" / "handbook.md"
    document.write_text(HANDBOOK.replace("costs 35 crowns", "costs 40 crowns"), encoding="utf-8")
    course = opened(folder, teacher, student)
    run(course, until="samples")
    assert course.said[0] == "documents: changed: files"
    assert 0 < len(teacher.asked) - before < before / 2
    assert not any("35 crowns" in json.dumps(s) for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl"))


def test_a_second_run_at_the_same_time_is_refused_and_the_first_loses_nothing(make_course, teacher, student):
    from homeroom.core.files import lock_folder

    folder = make_course()
    with lock_folder(folder / "out"), pytest.raises(RefusedError, match="another run is at work"):
        run(opened(folder, teacher, student))
    run(opened(folder, teacher, student), until="documents")


def test_a_folder_of_another_format_is_not_overwritten(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student), until="facts")
    record = folder / "out" / "facts" / "record.json"
    write_json(record, {**read_json(record), "format": 99})
    with pytest.raises(RefusedError, match="format 99"):
        run(opened(folder, teacher, student), until="facts")
    assert (folder / "out" / "facts" / "facts.jsonl").is_file()


def test_a_missing_document_and_an_empty_course_say_where_and_how(make_course, teacher, student, tmp_path):
    folder = make_course()
    (folder / "knowledge" / "club" / "handbook.md").unlink()
    with pytest.raises(ContentError, match=r"handbook\.md"):
        run(opened(folder, teacher, student))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match=r"no qna\.yaml"):
        open_course(tmp_path / "empty")


def test_a_teacher_that_gives_nothing_usable_fails_with_the_leaf_and_a_hint(make_course, student):
    with scripted_server(lambda messages: "I cannot do that.") as url:
        folder = make_course()
        course = opened(folder, url, student, "samples.manners=1")
        run(course, until="samples")  # the sentences themselves are facts, so cloze and yes/no remain
        kinds = {s["kind"] for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl")}
    assert "direct" not in kinds
    assert "cloze" in kinds


def test_what_a_server_does_not_take_is_said_once(make_course, student):
    def picky(messages, request):
        if "seed" in request:
            return Raw(status=400, body=b'{"error": {"message": "Unrecognized request argument supplied: seed"}}')
        return scripted_teacher.answer(messages)

    with scripted_server(picky) as url:
        course = opened(make_course(), url, student)
        run(course, until="samples")
    said = [line for line in course.said if "left out" in line]
    assert said == [f"teacher: {url} does not take seed: left out from now on"]


def test_the_plan_says_why_each_stage_runs_and_changes_nothing(make_course, teacher, student):
    folder = make_course()
    plan = make_plan(opened(folder, teacher, student))
    assert [s["name"] for s in plan["stages"]] == list(STAGES)
    assert all(s["runs"] for s in plan["stages"])
    assert 0 < plan["share_covered"] <= 1
    assert "minutes" in plan_table(plan)
    run(opened(folder, teacher, student), until="exam")
    later = make_plan(opened(folder, teacher, student))
    assert [s["runs"] for s in later["stages"]] == [False] * 3 + [True] * 4
    assert not (folder / "out" / "samples").exists()


def test_how_often_a_run_is_saved_is_no_reason_to_train_again(make_course, teacher, student):
    folder = make_course()

    def record(*settings):
        return stage_record(opened(folder, teacher, student, *settings), "train").config

    often = (
        "train.phases.0.checkpoint_minutes=9",
        "train.phases.0.checkpoints_kept=5",
        "train.phases.0.tensorboard=true",
    )
    assert record() == record(*often)
    assert record() != record("train.phases.0.lr=0.5")


def test_a_plan_looks_and_a_pilot_asks_what_the_run_would_ask_anyway(make_course, teacher, student, tmp_path):
    folder = make_course()
    asked = len(teacher.asked)
    guessed = make_plan(opened(folder, teacher, student))
    looked = fit(opened(folder, teacher, student), seconds_of("2h"), pilot=False, keep=False)
    assert looked.budget["teacher_tokens"] > 0
    assert not (folder / "out").exists()
    assert len(teacher.asked) == asked
    assert guessed["rates"]["guessed"] == ["teacher", "train"]
    priced = ("teacher.prompt_price=2.0", "teacher.answer_price=10.0")
    plan = make_plan(opened(folder, teacher, student, *priced), pilot=True)
    assert plan["pilot"]["calls"] == len(teacher.asked) - asked > 0
    assert plan["rates"]["guessed"] == ["train"]
    facts, samples = (next(s for s in plan["stages"] if s["name"] == name) for name in ("facts", "samples"))
    assert facts["seconds_low"] <= facts["seconds"] <= facts["seconds_high"]
    assert samples["money"] == pytest.approx((2 * samples["prompt_tokens"] + 10 * samples["tokens"]) / 1e6, abs=1e-4)
    assert "Price: " in plan_table(plan)
    assert "train guessed" in plan_table(plan)
    asked = len(teacher.asked)
    run(opened(folder, teacher, student, *priced), until="facts")
    assert len(teacher.asked) == asked  # the pilot's answers were kept


def test_planned_and_actual_stand_side_by_side(make_course, teacher, student):
    folder = make_course()
    notes = []
    course = opened(folder, teacher, student)
    course.progress = lambda stage, done, total, note="": notes.append((stage, note))
    run(course, until="samples")
    rows = {row["name"]: row for row in planned_and_actual(folder, prompt_price=1.0, answer_price=1.0)}
    assert list(rows) == ["documents", "facts", "exam", "samples"]
    record = read_record(folder / "out" / "samples")
    assert rows["samples"]["actual"]["calls"] == record.spent["calls"] > 0
    assert rows["samples"]["planned"]["calls"] > 0
    assert rows["facts"]["actual"]["money"] > 0
    assert "planned and actual" in actual_table(list(rows.values()))
    assert " / " in actual_table(list(rows.values()))
    told = [note for stage, note in notes if stage == "samples"]
    assert "a second" in told[-1]
    assert "kept (" in told[-1]  # acceptance, and the last sample that passed
    assert told[-1].endswith(tuple("?.!abcdefghijklmnopqrstuvwxyz0123456789"))


def test_a_new_version_of_a_stages_code_or_prompts_makes_it_anew_and_asks_nothing_twice(
    make_course, teacher, student, monkeypatch
):
    folder = make_course()
    run(opened(folder, teacher, student), until="samples")
    asked = len(teacher.asked)
    monkeypatch.setitem(running.CODE, "samples", running.CODE["samples"] + 1)
    course = opened(folder, teacher, student)
    run(course, until="samples")
    assert course.said[2:4] == ["exam: up to date", "samples: setting: code"]
    assert len(teacher.asked) == asked
    monkeypatch.setattr(running, "_hash_prompts", lambda names: "other words")
    course = opened(folder, teacher, student)
    run(course, until="samples")
    assert "facts: setting: prompts" in course.said


@pytest.fixture
def slow(teacher, student, tmp_path, monkeypatch):
    """Teacher and student were measured to be slow, whatever a scripted teacher can do."""
    monkeypatch.setattr(running, "learn", lambda *given: None)
    write_json(tmp_path / "home" / "rates.json", {f"teacher scripted at {teacher}": 5.0, f"train {student}": 50.0})


def test_a_budget_covers_the_important_facts_and_a_longer_one_goes_on_from_there(make_course, teacher, student, slow):
    folder = make_course()
    short = fit(opened(folder, teacher, student), seconds_of("15m"))
    run(short, until="samples")
    first = read_record(folder / "out" / "samples").summary
    asked = len(teacher.asked)
    longer = fit(opened(folder, teacher, student), seconds_of("27m"))
    run(longer, until="samples")
    second = read_record(folder / "out" / "samples").summary
    assert first["facts_covered"] < second["facts_covered"] <= second["facts_known"]
    kept = {s["id"] for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl")}
    assert kept
    assert len(teacher.asked) > asked
    with pytest.raises(UsageError, match="too few"):
        fit(opened(make_course("late"), teacher, student), 300.0)


def test_what_is_left_of_a_budget_is_divided_again_when_listing_took_longer(make_course, teacher, student, slow):
    def covered(folder, seconds):
        run(fit(opened(folder, teacher, student), seconds_of("15m")), until="facts")
        record = read_record(folder / "out" / "facts")
        write_record(folder / "out" / "facts", dataclasses.replace(record, seconds=seconds))
        course = opened(folder, teacher, student)
        run(fit(course, seconds_of("15m")), until="dataset")
        assert any("min are left before the examination" in text for text in course.said)
        return read_record(folder / "out" / "samples").summary["facts_covered"]

    late = make_course("late")
    assert covered(late, 200.0) < covered(make_course("early"), 1.0)
    again = opened(late, teacher, student)
    run(fit(again, seconds_of("15m")), until="dataset")
    assert again.said == [f"{stage}: up to date" for stage in STAGES[:5]]
    plan = make_plan(fit(opened(late, teacher, student), seconds_of("15m")))
    assert [stage["runs"] for stage in plan["stages"][:5]] == [False] * 5


def test_a_division_does_not_hold_for_another_document_teacher_or_student(make_course, teacher, student, slow):
    def fitted(folder, *options):
        return fit(opened(folder, teacher, student, *options), seconds_of("2h")).budget

    folder = make_course()
    run(fit(opened(folder, teacher, student), seconds_of("2h")), until="facts")
    first = fitted(folder)
    assert fitted(folder) == first
    handbook = folder / "knowledge" / "club" / "handbook.md"
    handbook.write_text(HANDBOOK + "".join(f"\n\nA boat of class {n} costs {n + 7} crowns a day." for n in range(90)))
    longer = fitted(folder)
    assert longer["teacher_tokens"] > 2 * first["teacher_tokens"]  # not for the facts of the shorter one
    shutil.copytree(folder / "knowledge", (other := folder.parent / "other") / "knowledge")
    shutil.copy(folder / "exam.jsonl", other)
    assert fitted(other)["teacher_tokens"] == longer["teacher_tokens"]
    rates = folder.parent / "home" / "rates.json"
    write_json(rates, {**read_json(rates), f"teacher other at {teacher}": 1.0})
    assert fitted(folder)["teacher_tokens"] == longer["teacher_tokens"]  # a rate measured since changes nothing
    assert fitted(folder, "teacher.model=other")["teacher_tokens"] < longer["teacher_tokens"]


def test_a_course_of_one_fact_is_taught_and_what_is_said_to_be_enough_is(make_course, teacher, student, slow):
    folder = make_course()
    (folder / "knowledge" / "club" / "handbook.md").write_text("# Club\n\nThe gate code of the club is 4417.\n")
    assert fit(opened(folder, teacher, student), seconds_of("2h"), keep=False).budget["training_tokens"] > 1_000
    for handbook in (HANDBOOK, HANDBOOK * 50):  # with a long one, listing may take its share and no more
        (folder / "knowledge" / "club" / "handbook.md").write_text(handbook)
        with pytest.raises(UsageError, match="too few") as caught:
            fit(opened(folder, teacher, student), 300.0, keep=False)
        enough = int(re.search(r"at least (\d+)m", str(caught.value))[1])
        assert fit(opened(folder, teacher, student), 60.0 * enough, keep=False).budget
        with pytest.raises(UsageError, match="too few"):
            fit(opened(folder, teacher, student), 60.0 * (enough - 1), keep=False)


def test_times_are_read_as_people_write_them():
    assert [seconds_of(t) for t in ("45m", "2h", "1h30m", "600s")] == [2700, 7200, 5400, 600]
    for wrong in ("", "soon", "45", "10s"):
        with pytest.raises(UsageError):
            seconds_of(wrong)


def test_a_course_can_be_moved_and_stays_up_to_date(make_course, teacher, student, tmp_path):
    folder = make_course()
    run(opened(folder, teacher, student), until="exam")
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    course = opened(moved, teacher, student)
    run(course, until="exam")
    assert course.said == [f"{s}: up to date" for s in STAGES[:3]]


# -- what the exam shows beside its score ------------------------------------------------------------------------------


def test_an_accepted_correction_is_asked_again_after_the_next_run_and_counts_for_no_score(
    make_course, teacher, student
):
    from homeroom.author.correct import correct
    from homeroom.core.contributions import accept

    folder = make_course()
    made = correct(folder, "How much does a lost paddle cost me?", "35 crowns.", wrong="Nothing.")
    assert made.contribution.evidence.quote == "A lost paddle costs 35 crowns."
    accept(folder, made.contribution.id)
    run(opened(folder, teacher, student))
    report = read_report(folder)
    (row,) = report["corrections"]
    assert (row["question"], row["answer"]) == ("How much does a lost paddle cost me?", "35 crowns.")
    assert row["correct_after"] in (True, False)
    assert report["closed_book"]["after"]["n"] == 2
    assert report["with_sources"]["after"]["n"] == 2
    assert report["likelihood"]["n"] == 2
    page = (folder / "out" / "report" / "report.html").read_text(encoding="utf-8")
    assert "How much does a lost paddle cost me?" in page
    assert "Final exam, with sources" in page


def test_an_exam_that_asks_as_a_seed_example_does_is_refused(make_course, teacher, student):
    folder = make_course()
    with (folder / "exam.jsonl").open("a") as file:
        file.write(json.dumps({"id": "leak", "question": "part 0 , point 1 ?", "answer": "Point 1"}) + "\n")
    with pytest.raises(RefusedError, match="wording of seed examples") as caught:
        run(opened(folder, teacher, student), until="exam")
    assert caught.value.exit_code == 5
    assert "leak" in str(caught.value)


def test_a_seed_that_asks_as_the_exam_does_is_refused_after_a_first_run_too(make_course, teacher, student):
    folder = make_course()
    run(opened(folder, teacher, student), until="exam")
    qna = folder / "knowledge" / "club" / "qna.yaml"
    text = qna.read_text(encoding="utf-8").replace("Part 0, point 1?", "Which digits unlock the entrance?")
    qna.write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match="wording of seed examples"):
        run(opened(folder, teacher, student), until="exam")


def test_a_gate_that_nothing_passes_keeps_the_base(make_course, teacher, student, monkeypatch):
    folder = make_course()
    asked = []

    def examined(questions, *_, stage, **__):
        asked.extend([len(questions)] if stage == "dial" else [])  # and not the quiz of the base
        is_right = len(asked) == 1  # the base knows everything
        return [type("Graded", (), {"correct": is_right, "question": q.id})() for q in questions]

    monkeypatch.setattr("homeroom.evaluate.exam.examine", examined)
    with pytest.raises(RefusedError, match="the base stays in use"):
        run(opened(folder, teacher, student, "evaluate.max_forgetting=0.1"), until="train")
    assert not (folder / "out" / "model").exists()
    assert (folder / "out" / "trained" / "model.safetensors").is_file()
    assert len(asked) == 1 + 2 * len(SHARES)


QUIZ = [
    {"question": "What unlocks it?", "must": [["4417"]], "answer": "4417.", "split": "quiz", "id": "gate",
     "source": "The gate code of the club is 4417."},
    {"question": "Who mends?", "must": [["Varrick"]], "answer": "Odile Varrick.", "split": "quiz", "id": "mends",
     "source": "Boats are mended by Odile Varrick."},
]  # fmt: skip


def test_the_quiz_steers_what_is_generated_and_a_second_round_asks_about_what_was_missed(
    make_course, teacher, student, monkeypatch
):
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.rounds import effort, gains, read_quiz

    folder = make_course()
    lines = [json.dumps({"id": str(n), **row}) for n, row in enumerate([*EXAM, *QUIZ])]
    (folder / "exam.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    known = {"What unlocks it?": "It is 4417."}  # the base knows the gate code, whoever asks it
    monkeypatch.setattr(
        TorchEngine, "answer", lambda self, asked, **_: [known.get(c[-1].content.splitlines()[0], "No.") for c in asked]
    )
    course = opened(folder, teacher, student, "samples.rounds=2")
    run(course)
    told = effort(course)
    assert {q["id"] for q in QUIZ} == {*read_quiz(course, 0)["right"], *read_quiz(course, 0)["wrong"]} != {"gate"}
    facts = {f["id"]: f["statement"] for f in read_jsonl(folder / "out" / "facts" / "facts.jsonl")}
    assert [facts[f] for f in told.known] == ["The gate code of the club is 4417."]
    assert [[facts[f] for f in missed] for missed in told.missed] == [["Boats are mended by Odile Varrick."]]
    assert gains(course) == "the quiz: 1 of 2 before, 1 after round 1, 1 after round 2"
    assert course.said.count("samples: changed: quiz") == 1
    again = opened(folder, teacher, student, "samples.rounds=2")
    asked = len(teacher.asked)
    run(again)
    assert [line for line in again.said if "up to date" in line] == [f"{s}: up to date" for s in STAGES]
    assert len(teacher.asked) == asked


def test_a_third_round_keeps_what_the_second_asked_about_what_was_missed(make_course, student, monkeypatch):
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.rounds import effort

    folder = make_course()
    lines = [json.dumps({"id": str(n), **row}) for n, row in enumerate([*EXAM, *QUIZ])]
    (folder / "exam.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = ["No.", "It is 4417.", "Odile Varrick.", "Odile Varrick."]  # of the base, and after each round
    place = folder / "out" / "rounds"
    monkeypatch.setattr(
        TorchEngine, "answer", lambda self, asked, **_: [answers[len(list(place.glob("*.json")))] for _ in asked]
    )
    monkeypatch.setitem(running.MAKE, "train", lambda course, out: trained(course))
    made, told = [], Counter()
    wordings = ["what is the rule on", "how does the club settle", "which custom do members follow for"]

    def varied(messages):
        told[text := messages[-1]["content"]] += 1  # asked once more, with another seed: in other words
        return scripted_teacher.answer(messages).replace(wordings[0], wordings[min(told[text], 3) - 1])

    def trained(course):
        made.append({s["id"] for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl")})
        shutil.copytree(student, folder / "out" / "model", dirs_exist_ok=True)
        return {}

    with scripted_server(varied) as url:
        course = opened(folder, url, student, "samples.rounds=3", ALL_FACTS, "samples.questions=64")
        run(course, until="train")
    facts = {f["id"]: f["statement"] for f in read_jsonl(folder / "out" / "facts" / "facts.jsonl")}
    missed = [[facts[f] for f in ids] for ids in effort(course).missed]
    assert missed == [["Boats are mended by Odile Varrick."], ["The gate code of the club is 4417."]]
    assert made[0] < made[1] < made[2]  # each round adds, and takes nothing away


def test_a_quiz_passes_over_what_a_judge_grades_and_gives_a_rewrite_what_its_text_needs(
    make_course, teacher, student, monkeypatch
):
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.rounds import read_quiz

    folder, limits = make_course(), []
    source = {"split": "quiz", "source": "The gate code of the club is 4417."}
    more = [
        {"id": "judged", "kind": "rubric", "question": "Is the club a good one?", **source},
        {
            "id": "again",
            "kind": "rewrite",
            "question": "Say it plainly.",
            "context": "The gate. " * 40,
            "must": [["gate"]],
            **source,
        },
    ]
    lines = [json.dumps({"id": str(n), **row}) for n, row in enumerate([*EXAM, *QUIZ, *more])]
    (folder / "exam.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def answer(self, asked, *, max_tokens, **_):
        limits.append(max_tokens)
        return ["The gate." for _ in asked]

    monkeypatch.setattr(TorchEngine, "answer", answer)
    course = opened(folder, teacher, student)
    run(course, until="samples")
    told = read_quiz(course, 0)
    assert sorted([*told["right"], *told["wrong"]]) == ["again", "gate", "mends"]
    assert limits[0] == 6
    assert limits[1] > 100


def test_another_base_is_asked_the_quiz_itself(make_course, teacher, student, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.rounds import read_quiz

    folder, other = make_course(), shutil.copytree(student, tmp_path / "other")
    weights = {name: value * 0.5 for name, value in load_file(other / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    lines = [json.dumps({"id": str(n), **row}) for n, row in enumerate([*EXAM, *QUIZ])]
    (folder / "exam.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setattr(TorchEngine, "answer", lambda self, asked, **_: ["It is 4417." for _ in asked])
    run(opened(folder, teacher, student), until="samples")
    assert read_quiz(opened(folder, teacher, student), 0)["right"] == ["gate"]
    monkeypatch.setattr(TorchEngine, "answer", lambda self, asked, **_: ["Odile Varrick." for _ in asked])
    course = opened(folder, teacher, other)
    run(course, until="samples")
    assert course.said[-2] == "samples: changed: student; setting: student"
    assert (told := read_quiz(course, 0))["right"] == ["mends"]
    assert told["model"] == digest_of(other)


def test_a_leaf_with_too_little_says_so_and_what_is_good_is_kept(make_course, teacher, student):
    from homeroom.cli.run import end_short
    from homeroom.core.errors import StageError

    folder = make_course()
    course = opened(folder, teacher, student, "samples.least=5000")
    run(course, until="dataset")
    with pytest.raises(StageError, match=r"too few samples .*5000 are wanted.*knowledge/club has \d+"):
        end_short(course)
    assert (folder / "out" / "dataset" / "train.jsonl").is_file()
    end_short(opened(make_course("other"), teacher, student))  # nothing is made yet: nothing to say


def test_a_taxonomy_of_one_word_is_refused_with_its_place(tmp_path):
    leaf = tmp_path / "one" / "knowledge" / "x"
    leaf.mkdir(parents=True)
    (leaf / "qna.yaml").write_text("hello\n", encoding="utf-8")
    with pytest.raises(ContentError, match=r"knowledge/x/qna\.yaml:1"):
        open_course(tmp_path / "one")


ALL_FACTS = "train.phases.0.tokens=90000"  # enough for every fact to be taught
LONGER = """# Otter Club Handbook

## Hours

The Otter Club opens at 7 a.m. on every day of the week. The Otter Club closes at 9 p.m. in summer and in winter. The
gate code of the club is 4417. The key of the gate hangs in the office of Tobiah Renn.

## Boats

A member may borrow two boats for five hours. A lost paddle costs 35 crowns. Boats are mended by Odile Varrick in the
long hall. Every boat has a green flag. The boats lie at Nettle Quay. A member pays 90 crowns for each year.
"""


def test_editing_one_paragraph_remakes_what_rested_on_it_and_keeps_the_rest(make_course, teacher, student):
    folder = make_course()
    document = folder / "knowledge" / "club" / "handbook.md"
    document.write_text(LONGER, encoding="utf-8")
    run(opened(folder, teacher, student, ALL_FACTS), until="samples")
    before = {s["id"]: s for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl")}
    asked = len(teacher.asked)
    document.write_text(LONGER.replace("a green flag", "a yellow flag"), encoding="utf-8")
    run(opened(folder, teacher, student, ALL_FACTS), until="samples")
    after = {s["id"]: s for s in read_jsonl(folder / "out" / "samples" / "samples.jsonl")}
    assert any("green flag" in s.get("quote", "") for s in before.values())
    assert not any("green flag" in json.dumps(s) for s in after.values())  # what rested on the old words is gone
    assert any("yellow flag" in s.get("quote", "") for s in after.values())
    hours = [s for s in before.values() if "The Otter Club" in s.get("quote", "") and s["kind"] != "seed"]
    assert hours
    for sample in hours:  # of the other section: the same words and span, with the digest of the new file
        assert all(
            after[sample["id"]].get(key) == sample.get(key) for key in ("messages", "text", "quote", "start", "end")
        )
        assert after[sample["id"]]["document"] != sample["document"]
    new = ["".join(m["content"] for m in r["messages"]) for r in teacher.asked[asked:]]
    assert new
    assert all("yellow flag" in text for text in new)
