"""From chunks and seeds to checked samples: what the teacher writes, what is thrown out and why, and how it is mixed.

In: chunks (`documents/`), leaves with their seeds, a teacher `Endpoint`. Out: `facts.jsonl`, exam questions,
`samples.jsonl`, `rejected.jsonl`, `train.jsonl`. Order of the files: `facts` (what there is to know, with spans),
`coverage` (how much of it the budget allows), `knowledge` and `skill` (one recipe each), `checks` (the cascade),
`exam_questions`, `replay`, `mix`. Read `knowledge.py` first.
"""
