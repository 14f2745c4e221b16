"""The page in a real browser: Chromium, where it is installed."""

import re
import shutil
import subprocess

import pytest
from playwright.sync_api import sync_playwright

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def shown(reported):
    """What the browser makes of the page, and what it writes to its console."""
    page = (reported / "report" / "index.html").as_uri()
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    return subprocess.run(
        [BROWSER, *options, "--enable-logging=stderr", "--dump-dom", f"{page}#conv2-5"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def test_every_chart_is_drawn(shown):
    charts = re.findall(r'<div class="chart[^>]*>(.{40})', shown.stdout)
    assert len(charts) == 5 and all("<svg" in chart or "<details" in chart for chart in charts)
    assert shown.stdout.count('class="marks"') == 5


def test_the_console_stays_empty(shown):
    assert "CONSOLE" not in shown.stderr


def test_a_unit_that_is_pressed_becomes_the_address(reported):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto((reported / "report" / "index.html").as_uri())
        page.locator("#conv1-7").click()
        assert page.url.endswith("#conv1-7")


def test_a_link_to_a_unit_opens_its_layer(shown):
    layers = dict(re.findall(r'<details class="layer" id="(\w+)"([^>]*)>', shown.stdout))
    assert "open" in layers["conv2"] and "open" not in layers["conv4"]
