"""Long work that survives everything: a queue in SQLite, and a worker process of its own.

In: a kind of work and its settings. Out: events that a page can follow, and a last state that is the truth. Read
`queue.py` first; `worker.py` takes jobs and runs each as a child process; `machine.py` tells processes and boots apart.
What the kinds of work are is not known here: who starts a worker gives it a program for each.
"""
