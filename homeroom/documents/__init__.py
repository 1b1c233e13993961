"""From the documents that knowledge leaves name to passages with byte spans.

In: leaves, and the folders or git repositories they name. Out: `documents.jsonl` (plain text, one a file and leaf)
and `chunks.jsonl` (passages short enough for one teacher prompt). Read `stage.py` first, then `read.py` (which
files), `formats.py` (bytes to text), `git.py` (repositories), `markdown.py` and `chunk.py` (text to passages).
"""
