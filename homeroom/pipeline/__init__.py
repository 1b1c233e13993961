"""Plan and run a course: which stages are stale and why, how the work fits into a time, and the stages themselves.

In: a course folder. Out: the folders below its `out/`. `run.py` goes through the stages, which `generating.py`,
`training.py` and `reporting.py` hold; `course.py` opens models when they are needed; `plan.py` says beforehand what it
will take. Read `run.py` first.
"""
