"""An endpoint's key: from the environment, a file or the system's keyring; never from the recipe itself.

What is returned goes into one header and nowhere else: not into a record, a log, an id or an error. A recipe may be a
stranger's, and names both the key and the server that gets it: so only a key that is named for Homeroom is read, or one
that is known to be that very server's.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from homeroom.core.config import Teacher
from homeroom.core.errors import MachineError, RefusedError

MAX_KEY_BYTES = 8192
KNOWN = {  # variables that other programs use too, and the only host that each is sent to
    "OPENAI_API_KEY": "api.openai.com",
    "ANTHROPIC_API_KEY": "api.anthropic.com",
    "GEMINI_API_KEY": "generativelanguage.googleapis.com",
    "MISTRAL_API_KEY": "api.mistral.ai",
    "GROQ_API_KEY": "api.groq.com",
    "DEEPSEEK_API_KEY": "api.deepseek.com",
    "TOGETHER_API_KEY": "api.together.xyz",
    "OPENROUTER_API_KEY": "openrouter.ai",
}


def read_key(teacher: Teacher) -> str:
    """Return the key that the recipe's settings lead to, or "" where they lead to none.

    The environment is asked first, then the file, then the keyring.

    Raises:
        MachineError: the file or the keyring's entry is not there, or holds no key.
        RefusedError: other users of this machine may read the file, or the key is not named for Homeroom.
    """
    _refuse_what_is_for_others(teacher)
    key = os.environ.get(teacher.api_key_env, "").strip() if teacher.api_key_env else ""
    if not key and teacher.api_key_file:
        key = _from_file(Path(teacher.api_key_file).expanduser())
    if not key and teacher.api_key_keyring:
        key = _from_keyring(teacher.api_key_keyring)
    if not key.isascii() or any(not c.isprintable() or c == " " for c in key):
        where = teacher.api_key_file or teacher.api_key_keyring or teacher.api_key_env
        raise MachineError("does not hold one key of plain characters and nothing else", where=where)
    return key


def _refuse_what_is_for_others(teacher: Teacher) -> None:
    name, url = teacher.api_key_env, urlsplit(teacher.url)
    is_known = url.scheme == "https" and name in KNOWN and url.hostname == KNOWN[name]
    if name and not name.startswith("HOMEROOM_") and not is_known:
        hint = "Put the key for this server into HOMEROOM_TEACHER_KEY, or another variable that begins with HOMEROOM_."
        raise RefusedError("this variable may be for another server", where=f"api_key_env: {name[:100]}", hint=hint)
    if teacher.api_key_file:
        path = Path(teacher.api_key_file).expanduser().resolve()  # a link in a course leads where it likes
        if not path.name.lower().startswith("homeroom") and path.parent != _own_folder():
            hint = "Put the key for this server into ~/.config/homeroom/, or a file whose name begins with homeroom."
            raise RefusedError("this file may be for something else", where=f"api_key_file: {path}", hint=hint)
    if not teacher.api_key_keyring.startswith("homeroom") and teacher.api_key_keyring:
        hint = "Store the key for this server under a service that begins with homeroom: homeroom/teacher."
        where = f"api_key_keyring: {teacher.api_key_keyring[:100]}"
        raise RefusedError("this entry may be for another program", where=where, hint=hint)


def _own_folder() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(config if os.path.isabs(config) else "~/.config").expanduser() / "homeroom").resolve()


def _from_file(path: Path) -> str:
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
        if not stat.S_ISREG(mode) or size > MAX_KEY_BYTES:
            raise MachineError("is not a file with one key in it", where=str(path))
        if mode & (stat.S_IRGRP | stat.S_IROTH) and os.name == "posix":
            raise RefusedError("others on this machine may read the key", where=str(path), hint=f"chmod 600 {path}")
        key = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        if isinstance(error, RefusedError):
            raise
        raise MachineError(f"the key cannot be read ({error.strerror})", where=str(path)) from None
    if not key:
        raise MachineError("holds no key", where=str(path))
    return key


def _from_keyring(place: str) -> str:
    """Ask the keyring through the program that comes with it: Keychain on a Mac, the Secret Service on Linux."""
    service, _, user = place.partition("/")
    if sys.platform == "darwin":
        command = ["security", "find-generic-password", "-s", service, "-a", user, "-w"]
        hint = f"security add-generic-password -s {service} -a {user} -w"
    else:
        command = ["secret-tool", "lookup", "service", service, "username", user]
        hint = f"secret-tool store --label=Homeroom service {service} username {user}"
    if not service or not user:
        raise MachineError("a place in the keyring is written service/user", where=place[:200])
    if shutil.which(command[0]) is None:
        hint = "Use api_key_env or api_key_file; on Debian, secret-tool is in the package libsecret-tools."
        raise MachineError(f"the program {command[0]} is not installed", where=place, hint=hint)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        raise MachineError("the keyring did not answer; is it unlocked?", where=place) from None
    if done.returncode or not done.stdout.strip():
        raise MachineError("the keyring has no such key", where=place, hint=f"Put it there: {hint}")
    return done.stdout.strip()
