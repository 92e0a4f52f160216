"""Makes the pictures of the pages: `make screenshots`, from the demo, in light and dark.

It needs Chromium (CHROMIUM names another than Debian's) and playwright, of the group `dev`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

IMAGES: Final = Path(__file__).parent / "images"
CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
SIZE: Final = {"width": 1200, "height": 760}
PAGES: Final = {
    "articles": "articles?filter=uplifting&tier=connection",
    "drift": "drift",
}


def main() -> None:
    """Run the demo, and take a picture of each page in both schemes."""
    IMAGES.mkdir(exist_ok=True)
    with _demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=SIZE, color_scheme=scheme)
            for name, path in PAGES.items():
                page = context.new_page()
                page.goto(address + path)
                page.wait_for_load_state("load")
                page.screenshot(path=IMAGES / f"{name}-{scheme}.png")
            context.close()
        browser.close()


@contextmanager
def _demo() -> Iterator[str]:
    """Run the demo while the block runs, and give the address of its pages."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "newsieve", "demo", "--keep"], stdout=subprocess.PIPE, text=True
    )
    try:
        for line in demo.stdout or ():
            found = re.match(r"Pages: (\S+)", line)
            if found is not None:
                yield found[1]
                return
        raise SystemExit("the demo ended before it had an address")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate()


if __name__ == "__main__":
    main()
