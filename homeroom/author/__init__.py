"""For those who write: what a taxonomy lacks, a first draft of a leaf, and a wrong answer that becomes a contribution.

Above the stages, because all three use several: `survey` reads leaves, documents and the last report into a `Tree`;
`draft` cuts a document, asks the teacher and checks what it wrote, and puts a marked qna.yaml where nothing was;
`correct` finds the passage that a right answer rests on (`evidence`), edits the leaf (`edit`), and writes the folder
that `core/contributions.py` describes.
"""
