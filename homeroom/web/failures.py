"""What a visitor is told of a failure, and the status of that answer; the same for pages, for the API and for `/v1`.

An error of ours says what is wrong and how to mend it. Any other is shown as a number that the log has too, and nothing
else.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from homeroom.core.errors import ContentError, HomeroomError, MachineError, RefusedError
from homeroom.web.asked import Busy, Login, NotFound

STATUSES = ((Login, 401), (NotFound, 404), (RefusedError, 403), (Busy, 429), (MachineError, 503), (ContentError, 400))
_log = logging.getLogger("homeroom.web")


def told(error: Exception, path: str) -> tuple[HomeroomError, int]:
    """Return what is said of an error that a request to `path` met, and the status."""
    if isinstance(error, HomeroomError):
        return error, next((status for kind, status in STATUSES if isinstance(error, kind)), 400)
    if isinstance(error, ClientDisconnect | MultiPartException | HTTPException):
        said = getattr(error, "detail", "") or type(error).__name__
        return ContentError(f"the form could not be read ({said})"), 400
    if isinstance(error, sqlite3.OperationalError):
        hint = "Nothing was lost, and nothing was saved: keep this page open and try again."
        if "full" in str(error):
            return MachineError("the disk is full", hint=hint), 503
        return MachineError("the server is busy", hint=hint), 503
    if isinstance(error, OSError):
        _log.error("disk", exc_info=error)
        return MachineError(f"the server's disk says no ({error.strerror})", hint="Nothing was saved: try again."), 503
    number = secrets.token_hex(4)
    _log.error("failure %s at %s", number, path, exc_info=error)
    return MachineError("something went wrong here", hint=f"It is in the server's log as {number}."), 500
