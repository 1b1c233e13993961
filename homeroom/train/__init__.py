"""Tune a student on samples: on a CPU, a GPU or a Mac, stoppable at any moment.

In: a model folder or GGUF file, samples, one or more phases of settings. Out: `runs/<phase>/` with its metrics and
record, and the tuned student as a Hugging Face folder.

- `loop.py`: read this first: the training loop, top to bottom. `phases.py` runs several in a row.
- `template.py`: samples -> tokens and which of them are learned. `batches.py`: the order of the data, and rows.
- `attention.py`, `loss.py`: what makes it fast, each with a plain form beside it as its test.
- `weights.py`, `precision.py`: float32 weights, AdamW, and what to compute in. `lora.py`: learn a small part only.
- `gguf_export.py`: the same as one file for llama.cpp and Ollama.
- `checkpoints.py`, `stop.py`, `measured.py`: stop and go on, to the same weights.
- `rehearsal.py`, `memory.py`, `allocator.py`: how long and how much memory, and keeping hold of it.
- `watch.py`: a run that goes wrong ends early. `meter.py`: how far it has gone from its base. `events.py`: TensorBoard.
- `parallel.py`: several processes train one student (FSDP2, torchrun).
- `export.py`, `card.py`: the tuned student for other programs, and what is said of it.
"""
