"""Every page as axe sees it: nothing that keeps somebody out, light on a desk in English, dark on a phone in German."""

import gzip
import hashlib
import re
from pathlib import Path

import chromium as browsers
import pytest
from web_house import furnish
from web_process import running

from homeroom.web.app import COOKIE, LANGUAGE
from homeroom.web.routes import ROUTES

pytestmark = pytest.mark.skipif(browsers.PROGRAM is None, reason="needs chromium")
AXE = Path(__file__).with_name("axe-core-4.14.1.min.js.gz")  # npm's axe-core, under MPL-2.0: for tests alone
DIGEST = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
RUN = """axe.run(document, {resultTypes: ["violations"], iframes: false}).then(found => found.violations
  .filter(v => ["serious", "critical"].includes(v.impact))
  .map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.target.join(" ") + " " + n.failureSummary).join(" | ")))"""
LOOKS = {"light, a desk, English": ("en", "light", 1280), "dark, a phone, German": ("de", "dark", 360)}


def test_row_96_axe_is_the_file_that_was_reviewed():
    assert hashlib.sha256(gzip.decompress(AXE.read_bytes())).hexdigest() == DIGEST


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_on_any_page(desk, browser, tmp_path, look):
    language, scheme, width = LOOKS[look]
    pages = furnish(desk, browser)
    tokens = {p.name: desk.store.begin_session(p) for p in desk.store.people()}
    axe, faults = gzip.decompress(AXE.read_bytes()).decode(), []
    with running(desk) as base, browsers.chromium(tmp_path / "profile") as page:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        page.call("Network.setCookie", name=LANGUAGE, value=language, url=base)
        for name, (person, path) in pages.items():
            page.call("Network.clearBrowserCookies")
            page.call("Network.setCookie", name=LANGUAGE, value=language, url=base)
            if person:
                page.call("Network.setCookie", name=COOKIE, value=tokens[person], url=base)
            page.open(base + path)
            assert page.js("document.documentElement.lang") == language, name
            page.js(axe)
            faults += [f"{name}: {fault}" for fault in page.js(RUN)]
            if not page.js("document.documentElement.scrollWidth <= innerWidth"):
                faults.append(f"{name}: is wider than the window")
    assert not faults, "\n".join(faults)


def test_no_page_is_left_out_of_the_look(desk, browser):
    pages = {path.split("?")[0].removesuffix("/") or "/" for _, path in furnish(desk, browser).values()}
    shown = [p.path for p in ROUTES if p.method == "GET"]
    files = ("/enter/{token}", "/welcome", "/health", "/openapi.json", "/patch", "/table", "/events", "/report/full")
    for path in shown:
        if not path.endswith(files):
            assert any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), seen) for seen in pages), path
