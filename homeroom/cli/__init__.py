"""The command line: one small file a command, no logic; commands load when they are named. Read `main.py` first."""
