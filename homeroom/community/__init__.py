"""What people hand in: a contribution as a commit on a branch of its own, and what becomes of it.

In: a `core.contributions.Contribution` with its files. Out: a branch `contribution/<id>`, a history of who said what,
and, when it is approved, a merge into the course. Read `review.py` first; `repository.py` is all that speaks to git.
"""
