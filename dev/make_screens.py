"""Pictures of every page, to look at and for the docs: `python dev/make_screens.py FOLDER [--look de,dark,360]`.

It furnishes a server as the tests do (tests/web_house.py) and takes each page whole with Debian's chromium. Those that
docs/web.md shows are copied to docs/web/ by hand, when they have changed.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import chromium as browsers  # noqa: E402
from web_client import Browser  # noqa: E402
from web_house import furnish  # noqa: E402
from web_process import running  # noqa: E402

from homeroom.web.app import COOKIE, LANGUAGE, make_app  # noqa: E402
from homeroom.web.desk import Desk  # noqa: E402

TALLEST = 2_400  # pixels of a picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--look", default="en,light,1120", help="language, scheme, width")
    parser.add_argument("--only", default="", help="pages, by name, with commas between")
    given = parser.parse_args()
    language, scheme, width = given.look.split(",")
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "courses"
        shutil.copytree(ROOT / "homeroom" / "data" / "examples" / "insurance", home / "insurance")
        desk = Desk(home)
        people = {n: desk.store.add_person(n, role=r) for n, r in (("Ann", "maintainer"), ("Ben", "contributor"))}
        tokens = {name: desk.store.begin_session(person) for name, person in people.items()}

        def browser(name: str) -> Browser:
            client = Browser(make_app(desk, hosts=("testserver",)), base_url="http://testserver")
            client.cookies.set(COOKIE, tokens[name])
            return client

        pages = furnish(desk, browser)
        wanted = given.only.split(",") if given.only else list(pages)
        with running(desk) as base, browsers.chromium(Path(temporary) / "profile") as page:
            page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            size = {"width": int(width), "height": 900, "deviceScaleFactor": 1, "mobile": int(width) < 500}
            page.call("Emulation.setDeviceMetricsOverride", **size)
            for name in wanted:
                person, path = pages[name]
                page.call("Network.clearBrowserCookies")
                page.call("Network.setCookie", name=LANGUAGE, value=language, url=base)
                if person:
                    page.call("Network.setCookie", name=COOKIE, value=tokens[person], url=base)
                page.open(base + path)
                tall = min(TALLEST, page.js("document.documentElement.scrollHeight"))
                clip = {"x": 0, "y": 0, "width": int(width), "height": tall, "scale": 1}
                taken = page.call("Page.captureScreenshot", format="webp", quality=60, clip=clip,
                                  captureBeyondViewport=True)  # fmt: skip
                (given.folder / f"{name}.webp").write_bytes(base64.b64decode(taken["data"]))
                print(f"{name}.webp")


if __name__ == "__main__":
    main()
