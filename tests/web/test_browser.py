"""In a real browser: saved while one types, words taken by selecting them, and nothing loaded from elsewhere."""

import re

import chromium as browsers
import pytest
from web_process import start

pytestmark = pytest.mark.skipif(browsers.PROGRAM is None, reason="needs chromium")
NOTES = "# Club\n\n" + "\n\n".join(f"## Part {n}\n\nRule {n} of the club holds for {n} weeks." for n in range(1, 7))
UPLOAD = """(async () => {
  const form = document.querySelector('form[enctype]');
  const data = new DataTransfer();
  data.items.add(new File([%s], 'notes.md'));
  form.querySelector('input[type=file]').files = data.files;
  form.querySelector('button').click();
})()"""


@pytest.fixture
def page(tmp_path):
    with browsers.chromium(tmp_path / "profile") as found:
        yield found


def test_a_person_types_and_selects_and_nothing_comes_from_elsewhere(home, page):
    import json

    server, link = start(home, "--no-worker")
    base = link.split("/enter")[0]
    try:
        page.open(link)
        page.type("name", "Ann Example")
        page.js("document.querySelector('main button').click()")
        page.until("location.pathname == '/' && document.querySelector('.cards')")
        page.open(f"{base}/courses/insurance/teach")
        page.type("name", "Club rules")
        page.js("document.querySelector('main form button').click()")
        page.until("location.pathname.includes('/drafts/') && document.querySelector('#verdict')")
        page.js(UPLOAD % json.dumps(NOTES))
        page.until("document.querySelector('.paragraph')")

        version = page.js("document.getElementById('version').value")
        page.type("about", "The rules of the club.")
        page.until(f"document.getElementById('version').value != {version!r}")
        assert page.until("document.querySelector('#verdict .good')")
        assert page.js("document.getElementById('says-about').innerText") == ""
        page.js(
            "(() => { const range = document.createRange();"
            "range.selectNodeContents(document.querySelectorAll('.paragraph p')[1]);"
            "getSelection().removeAllRanges(); getSelection().addRange(range); })()"
        )
        page.until("!document.querySelector('.take-selection').hidden")
        page.js("document.querySelector('.take-selection').click()")
        page.until("document.getElementById('examples-0-context').value.includes('Rule')")
        assert page.js("document.getElementById('about').value") == "The rules of the club."

        for path in ("/", "/courses/insurance", "/courses/insurance/report", "/courses/insurance/samples", "/people"):
            page.call("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
            page.open(base + path)
            assert page.js("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than 360 px"
        asked = {told["request"]["url"] for told in page.told("Network.requestWillBeSent")}
        assert not [url for url in asked if not re.match(rf"{re.escape(base)}/|data:|about:", url)]
        assert not [told["entry"]["text"] for told in page.told("Log.entryAdded") if told["entry"]["level"] == "error"]
        assert not page.told("Runtime.exceptionThrown")
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
