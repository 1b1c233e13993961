"""Small valid `qna.yaml` files, and how tests put them into a course."""

KNOWLEDGE = "version: 3\ncreated_by: me\ndomain: boats\ndocument_outline: About boats\ndocument: boats.md\n" + (
    "seed_examples:\n"
    + "".join(
        f"  - context: Boat {n} is red.\n    questions_and_answers:\n"
        + "".join(f"      - question: What is boat {n}.{q}?\n        answer: It is red {q}.\n" for q in range(3))
        for n in range(5)
    )
)
SKILL = "version: 3\ncreated_by: me\ntask_description: Make it kind\nseed_examples:\n" + "".join(
    f"  - question: Say {n} kindly.\n    answer: Please, {n}.\n" for n in range(5)
)
ATTRIBUTION = "Title of work: -\nLink to work: -\nLicense of the work: MIT\nCreator names: me\n"


def put(course, text, folder="knowledge/boats", name="qna.yaml"):
    path = course / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
