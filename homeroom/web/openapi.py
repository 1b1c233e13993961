"""The API in OpenAPI's words, made from the table of pages, so that it cannot say anything else than what is there."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from typing import Any

import homeroom
from homeroom.web.asked import File

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "where", "hint"],
            "properties": {name: {"type": "string"} for name in ("message", "where", "hint")},
        }
    },
}
_FAILURES = {
    "400": "not valid",
    "401": "nobody is logged in",
    "403": "not allowed",
    "404": "not here",
    "409": "changed meanwhile: both states are shown, nothing was saved",
    "429": "too many at once",
    "503": "not now",
}


_IDS = {  # what a part of an address looks like
    "course": "^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$",
    "draft": "^[0-9a-f]{12}$",
    "id": "^[0-9a-f]{12}$",
    "job": "^[0-9]{1,14}$",
    "person": "^[0-9]{1,9}$",
}


def describe(routes: Iterable[Any]) -> File:
    """Return the description of the API as a JSON document."""
    paths: dict[str, Any] = {}
    for place in routes:
        if place.api:
            paths.setdefault(f"/api/v1{place.path}", {})[place.method.lower()] = _operation(place)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Homeroom", "version": homeroom.__version__, "description": "What the pages do, as JSON."},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return File(content=json.dumps(document, indent=1).encode(), kind="application/json")


def _operation(place: Any) -> dict[str, Any]:
    failures = {
        code: {"description": why, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
        for code, why in _FAILURES.items()
    }
    first, _, more = inspect.cleandoc(place.page.__doc__ or "").partition("\n\n")
    kind = "multipart/form-data" if place.takes_files else "application/json"
    operation: dict[str, Any] = {
        "summary": first,
        "operationId": f"{place.method.lower()}_{re.sub('[^a-z]+', '_', place.path).strip('_') or 'courses'}",
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": _IDS[name]}}
            for name in re.findall(r"\{(\w+)\}", place.path)
        ],
        "responses": {"200": {"description": "good"}, **failures},
        "security": [] if place.role == "anyone" else [{"key": []}],
    }
    if more:
        operation["description"] = more
    if place.method == "POST":
        operation["requestBody"] = {"content": {kind: {"schema": {"type": "object"}}}}
    return operation
