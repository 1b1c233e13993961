"""From the documents that knowledge leaves name to passages with byte spans.

In: leaves, and the folders, git repositories and addresses they name. Out: `documents.jsonl` (Markdown, one a file and
leaf) and `chunks.jsonl` (passages short enough for one teacher prompt). Read `stage.py` first, then `read.py` (which
files), `git.py` and `web.py` (from afar), `formats.py` (which reader), `child.py` (each file in a process with
limits), the readers (`html.py`, `pdf.py` with `layout.py`, and on `package.py`: `word.py`, `opendocument.py`,
`slides.py`, `epub.py`), `text.py` (the normal form), `markdown.py` and `chunk.py` (text to passages).
"""
