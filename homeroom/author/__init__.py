"""For those who write: what a taxonomy lacks (`survey`), and a first draft of a leaf from a document (`draft`).

Above the stages, because both use several: `survey` reads leaves, documents and the last report into a `Tree`;
`draft` cuts a document, asks the teacher and checks what it wrote, and puts a marked qna.yaml where nothing was.
"""
