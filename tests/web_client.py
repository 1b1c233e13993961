"""A browser without script, for tests and for pictures of the pages."""

import re

from starlette.testclient import TestClient


class Browser(TestClient):
    """A browser without script: it follows links and sends the forms that a page has."""

    def csrf(self):
        return re.search(r'data-csrf="([^"]*)"', self.get("/me").text)[1]

    def fill(self, path, **fields):
        files = fields.pop("files", None)
        fields.setdefault("csrf", self.csrf())
        return self.post(path, data=fields, files=files)
