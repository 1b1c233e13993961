"""The page where anyone can teach the model: every form works without script, and nothing comes from outside.

In: a folder of courses. Out: contributions, decisions on samples, jobs in the queue. Read `app.py` first: it is the one
door that every request goes through (who, may they, is it really them), and `routes.py` the table of all pages. Pages
are functions from what was asked to a template and its values; the API is the same functions with the values as JSON.
The server itself never imports torch: long work is done by the worker, answers are given by a child (`answers.py`).
"""
