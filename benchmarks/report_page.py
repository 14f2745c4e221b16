"""How long the report of a run takes, how large its page is, and how soon a browser shows it.

  python -m benchmarks.report_page --workdir=runs/demo --out=benchmarks/results/report_cpu.json
  python -m benchmarks.report_page … --axe=node_modules/axe-core/axe.min.js

The browser is Debian's Chromium without a window, driven by Playwright (`pip install playwright`).
With --axe, the accessibility checks of axe-core run in it, at the width of a phone and of a desk,
light and dark, with all layers opened; `npm install axe-core` brings the file.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from alexnet_jax.monitoring.provenance import describe_environment

_SCREENS = {"desk": (1200, "light"), "phone": (390, "dark")}
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_WIDER = "document.documentElement.scrollWidth > innerWidth"
_OPEN = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"
_AXE = "axe.run().then((run) => run.violations.map((v) => [v.impact, v.id, v.nodes.length]))"


def look(browser: Any, page_file: Path, axe: Path | None, screen: str) -> dict:
    """Open the page as a person would, and say what is seen."""
    width, scheme = _SCREENS[screen]
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.goto(page_file.resolve().as_uri())
    page.wait_for_selector("#calibration svg")
    seen = {
        "first_paint_ms": page.evaluate(_PAINT),
        "wider_than_screen": page.evaluate(_WIDER),
        "charts": page.locator(".chart svg.marks").count(),
        "console": console,
    }
    if axe is not None:
        page.evaluate(_OPEN)
        page.add_script_tag(path=axe)
        seen["violations"] = page.evaluate(_AXE)
    return seen


def main() -> None:
    """Make the report, look at it, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--axe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    seconds = []
    for _ in range(arguments.turns):
        begin = time.perf_counter()
        command = [sys.executable, "-m", "alexnet_jax.report", f"--workdir={arguments.workdir}"]
        subprocess.run(command, check=True)
        seconds.append(time.perf_counter() - begin)
    page = arguments.workdir / "report" / "index.html"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        screens = {screen: look(browser, page, arguments.axe, screen) for screen in _SCREENS}
        version = browser.version
    result = {
        "command": ["python", "-m", "benchmarks.report_page", *sys.argv[1:]],
        "seconds": sorted(seconds),
        "bytes": page.stat().st_size,
        "screens": screens,
        "chromium": version,
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("seconds", "bytes", "screens")}, indent=1))


if __name__ == "__main__":
    main()
