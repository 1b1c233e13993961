"""Models by name, and whatever answers.

In: a name, a Hugging Face id, a file or a URL. Out: a verified file or folder (`store.pull`), or an `Endpoint` that
answers `core.types.Request` with `core.types.Reply`.

- `endpoint.py`: read this first. `Endpoint` speaks to any OpenAI-compatible server; `asking.py` asks many requests at
  once (`ask_all`, `ask_until`) and keeps every answer on disk.
- `engine.py`, `engine_server.py`: a GGUF file behind an `Endpoint`, in a child process with llama.cpp inside.
- `torch_engine.py`, `student.py`: the student in torch, exactly as training sees it.
- `catalog.py`, `store.py`, `wheels.py`: which models there are (sha256, licence, sources), and how they get here.
- `machine.py`: what this machine has, and what would stay idle.
"""
