"""Homeroom: teach a small language model what people know, and prove that it learned.

The folders follow the flow: `taxonomy` and `documents` read what people wrote, `generate` multiplies it with a
teacher model, `train` tunes a student, `evaluate` gives it an exam, `serve` lets people talk to it. `pipeline` runs
them in order, `cli` is the front door, and `core` holds the values that flow between them. Read `core/types.py` first.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while waiting block other work

__version__ = "0.1.0"
