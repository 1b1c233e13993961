"""From `qna.yaml` files to leaves, with every fault at its line, and the mending of those that a program can mend.

In: a course folder, a folder inside one, or one `qna.yaml`. Out: `Leaf` values and `Problem`s; faulty content never
raises. Read `read.py` first (which files are leaves), then `rules.py` (what InstructLab's schema asks, versions 1 to
3) with `shape.py` and `document.py`, `parse.py` (YAML with places and bounds) and `check.py` (what `homeroom check`
says beyond the schema: `lint.py`, `attribution.py`, `names.py`). `fix.py` mends a text, `mend.py` a folder.
"""
