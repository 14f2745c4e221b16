"""How long the report of a run takes, how large its page is, and how soon a browser shows it.

  python -m benchmarks.report_page --workdir=runs/demo --out=benchmarks/results/report_cpu.json
  python -m benchmarks.report_page … --axe=node_modules/axe-core/axe.min.js

The browser is Chromium without a window. With --axe, the accessibility checks of axe-core run in
it, at the width of a phone and of a desk, light and dark; `npm install axe-core` brings the file.
"""

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alexnet_jax.training.provenance import describe_environment

_SCREENS = {"desk": ("1200,900", []), "phone": ("400,900", ["--force-dark-mode"])}
# After all charts are drawn: when the page was first painted, and what axe-core objects to.
_PROBE = """
<script>{axe}</script>
<script type="module">
await new Promise((done) => setTimeout(done, 1500));
document.querySelectorAll("details").forEach((part) => (part.open = true));
const paint = performance.getEntriesByName("first-contentful-paint")[0];
const found = window.axe ? (await axe.run()).violations : null;
document.title = JSON.stringify({{
  first_paint_ms: paint && paint.startTime,
  wider_than_screen: document.documentElement.scrollWidth > innerWidth,
  charts: document.querySelectorAll(".chart svg").length,
  violations: found && found.map((rule) => [rule.impact, rule.id, rule.nodes.length]),
}});
</script>
"""


def look(page: Path, axe: Path | None, screen: str) -> dict:
    """Open a copy of the page that measures itself."""
    size, options = _SCREENS[screen]
    probe = _PROBE.format(axe=axe.read_text() if axe else "")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(page.read_text().replace("</body>", probe + "</body>"))
        done = subprocess.run(
            [
                "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", *options,
                f"--window-size={size}", "--enable-logging=stderr", "--timeout=20000",
                "--dump-dom", copy.as_uri(),
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(title[1])) | {"console": console}


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
    result = {
        "command": ["python", "-m", "benchmarks.report_page", *sys.argv[1:]],
        "seconds": sorted(seconds),
        "bytes": page.stat().st_size,
        "screens": {screen: look(page, arguments.axe, screen) for screen in _SCREENS},
        "environment": describe_environment(),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("seconds", "bytes", "screens")}, indent=1))


if __name__ == "__main__":
    main()
