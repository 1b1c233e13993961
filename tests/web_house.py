"""A server whose pages are full: drafts, contributions in every stand, runs in every state, samples, a report, keys.

`furnish(desk, client)` makes it by the forms that people use, where there is one; `PAGES` names each page to look at.
"""

import shutil

from web_forms import NOTES, begin, field, handed_in, written

from homeroom.core.files import write_json, write_jsonl
from homeroom.core.types import Message, Rejected, Sample
from homeroom.jobs.machine import identity

LEAF = "knowledge/insurance/claims"
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


def sample(n, question, answer):
    said = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Sample(id=str(n), kind="direct", messages=said, leaf=LEAF, quote="A claim must reach us within nine weeks.")


def job(desk, kind, spec, *, state="", told=(), result=None, reason="", key=""):
    """Put a job in line, and do with it what a worker would, up to a state."""
    id = desk.queue.submit(kind, {"course": "insurance", **spec}, owner="Ann", device="compute", key=key)
    if state:
        lease = desk.queue.claim(identity(), [kind])
        for what, data in told:
            desk.queue.tell(lease, what, data)
        if state != "running":
            desk.queue.finish(lease, state, reason=reason, result=result)
    return id


def rate(correct, n):
    return {"n": n, "correct": correct, "accuracy": correct / n, "ci95": [0.1, 0.9]}


TRIED = {
    "preview": {
        "kept": 14,
        "samples": [
            {
                "question": f"Where does the club keep rule {n}?",
                "answer": "In a green book.",
                "quote": "in a green book",
            }
            for n in range(14)
        ],
        "thrown": {"number": 3},
        "thrown_samples": [
            {"question": f"Is it {LONG}?", "answer": "99.", "quote": "", "why": "99 is not in the source"}
        ],
    },
    "trial": {
        "before": rate(0, 9),
        "after": rate(4, 9),
        "retention": {"before": rate(60, 120), "after": rate(56, 120)},
        "items": [
            {
                "question": "How long does rule 3 hold?",
                "gold": "3 weeks",
                "before": {"text": "It depends.", "right": False},
                "after": {"text": "Rule 3 holds for 3 weeks.", "right": True},
            }
        ],
    },
}


def fill_out(course):
    """Write what a run would have left."""
    made = course / "out" / "samples"
    write_jsonl(made / "samples.jsonl", [sample(n, f"What is rule {n}?", f"Rule {n} is kept.") for n in range(60)])
    thrown = [Rejected(sample=sample(99, f"Is {LONG} wrong?", "99."), check="number", reason="99 is not in the source")]
    write_jsonl(made / "rejected.jsonl", thrown)
    write_json(made / "record.json", {"kind": "samples", "format": 1})
    metrics = [{"tokens": 512 * n, "loss": 3 / (1 + n), "tokens_per_second": 400} for n in range(40)]
    write_jsonl(course / "out" / "runs" / "smoke" / "metrics.jsonl", metrics)
    report = {
        "verdict": "better",
        "closed_book": {"before": rate(2, 35), "after": rate(30, 35)},
        "retention": {"before": rate(60, 120), "after": rate(57, 120)},
    }
    write_json(course / "out" / "report" / "report.json", report)
    (course / "out" / "report" / "report.html").write_text("<h1>The report</h1>", encoding="utf-8")


def furnish(desk, browser):
    """Fill a desk with a course (`insurance`), Ann and Ben, and return the pages: name -> (person, path)."""
    ann, ben = browser("Ann"), browser("Ben")
    course = desk.home / "insurance"
    waiting = handed_in(ben).url.path
    found = waiting.rsplit("/", 1)[1]
    commit = field(ann.get(waiting).text, "seen")
    for kind, result in TRIED.items():
        job(desk, kind, {"contribution": found}, state="done", result=result, key=f"{kind} insurance {found} {commit}")
    draft = begin(ben, "Lost paddles")
    ben.fill(f"{draft}/document", files={"document": ("paddles.md", NOTES.encode())})
    version = field(ben.get(draft).text, "version")
    half = {k: v for k, v in written(version).items() if not k.startswith("examples-4")}
    ben.fill(f"{draft}/save", **half | {"examples-0-pairs-0-question": f"What is {LONG}?"})
    whole = begin(ben, "Whole draft")
    ben.fill(f"{whole}/document", files={"document": ("notes.md", b"\n\n".join([b"# Notes", *[b"Rule."] * 3]))})
    ben.fill(f"{whole}/save", **written(field(ben.get(whole).text, "version")))
    skill = begin(ben, "Kind letters", kind="skill")
    right = {"question": "When must I tell you?", "answer": "Within nine weeks.", "wrong": "Soon."}
    said = {"passage": "A claim must reach us within nine weeks of the loss."}
    wanted = ben.fill("/courses/insurance/correct", **right, **said).url.path

    fill_out(course)
    done = job(desk, "run", {}, state="done")
    failed = job(desk, "run", {}, state="failed", reason="the server's disk says no (No space left on device)")
    told = [("progress", {"stage": "train", "part": 0.4, "left_s": 90.0, "note": "400 a second", "whole": 0.7})]
    running = job(desk, "run", {}, state="running", told=[*told, ("say", {"text": "facts: done in 12 s"})])
    queued = job(desk, "run", {})
    desk.store.make_key(next(p for p in desk.store.people() if p.name == "Ben"), "my script", course="insurance")
    token = desk.store.make_link("invite", "contributor")
    shutil.rmtree(desk.home / "empty", ignore_errors=True)
    (desk.home / "empty" / "knowledge").mkdir(parents=True)
    things = {"waiting": waiting, "draft": draft, "whole": whole, "skill": skill, "new": wanted, "token": token}
    return pages(**things, running=running, done=done, failed=failed, queued=queued)


def pages(*, waiting, draft, whole, skill, new, token, running, done, failed, queued):
    """Return every page: name -> (whose browser, path)."""
    here = "/courses/insurance"
    return {
        "courses": ("Ann", "/"),
        "course": ("Ann", here),
        "course-empty": ("Ann", "/courses/empty"),
        "leaves": ("Ben", f"{here}/leaves?q=claims"),
        "leaf": ("Ben", f"{here}/leaf?place={LEAF}"),
        "teach": ("Ben", f"{here}/teach"),
        "editor": ("Ben", draft),
        "editor-skill": ("Ben", skill),
        "submit-faulty": ("Ben", f"{draft}/submit"),
        "submit": ("Ben", f"{whole}/submit"),
        "contributions": ("Ann", f"{here}/contributions"),
        "contributions-empty": ("Ann", "/courses/empty/contributions"),
        "contribution": ("Ann", waiting),
        "contribution-new": ("Ben", new),
        "ask": ("Ben", f"{here}/ask"),
        "correct": ("Ben", f"{here}/correct?question=When&wrong=Never"),
        "runs": ("Ann", f"{here}/runs"),
        "runs-empty": ("Ann", "/courses/empty/runs"),
        "run": ("Ann", f"/runs/{running}"),
        "run-done": ("Ann", f"/runs/{done}"),
        "run-failed": ("Ann", f"/runs/{failed}"),
        "run-queued": ("Ann", f"/runs/{queued}"),
        "samples": ("Ann", f"{here}/samples"),
        "samples-thrown": ("Ann", f"{here}/samples?state=rejected"),
        "samples-empty": ("Ann", "/courses/empty/samples"),
        "report": ("Ben", f"{here}/report"),
        "report-empty": ("Ben", "/courses/empty/report"),
        "models": ("Ben", "/models"),
        "me": ("Ben", "/me"),
        "people": ("Ann", "/people"),
        "log": ("Ann", "/log"),
        "error": ("Ben", "/people"),
        "login": ("", "/login"),
        "join": ("", f"/join/{token}"),
    }
