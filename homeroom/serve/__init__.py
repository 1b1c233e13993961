"""Talking to a student: the OpenAI API over HTTP, and conversations inside this process.

In: engines by name (`models.torch_engine`, or anything with the methods of `chat.Engine`). Out: answers, whole or piece
by piece. Read `server.py` first; `requests.py` is the door where what clients send is checked, `completions.py` makes
the answers, one at a time for each model, and `chat.py` is what `homeroom chat` is made of.
"""
