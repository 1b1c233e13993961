"""Values, errors, files and settings that every other folder uses; standard library and PyYAML only.

Read `types.py` first: everything that flows through Homeroom is named there.
"""
