"""Exams: what a model knows before and after training, graded by rules, with how sure the difference is.

In: an exam (`exam.jsonl`, see `docs/exam.md`), retention and control questions, and two models as `Answer` functions.
Out: a folder with report.json, report.html, items.jsonl and the kept answers. Texts are compared with `core/words.py`.

    grade       a question and an answer -> right or wrong, and why     (read this first)
    guards      denial and hedging: "not 9 weeks", "9 or 12 weeks"
    choices     which of the lettered choices an answer names
    checks      programmed checks: valid_json, markdown_table, csv, keeps_rest
    exam        reading an exam, checking every line; asking it
    statistics  Wilson, paired bootstrap, exact McNemar
    report      outcomes -> report.json, and the table that ends a run
    page        report.json -> report.html
    compare     two runs side by side; `seeds`: several of one recipe together
    harness     lm-eval's tasks on base and tuned
    stage       all of it, in order, resumable
"""
