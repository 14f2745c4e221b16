"""The page in a real browser: Chromium, where it is installed, and two users of it."""

import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
WAIT = 30_000  # Milliseconds.


@pytest.fixture(scope="module")
def address(finished):
    """The address of a server that a user has started."""
    command = [sys.executable, "-m", "alexnet_jax.serve", f"--workdir={finished[0]}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        found = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)))
        yield found[0]
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(address)
    yield page
    assert page.errors == []
    page.close()


def upload(page, path):
    page.set_input_files("#file", path)


def test_an_uploaded_image_gets_its_classes(page, tmp_path, photograph):
    path = tmp_path / "photo.jpg"
    path.write_bytes(photograph)
    upload(page, path)
    expect(page.locator("#status")).to_contain_text("photo.jpg: answered", timeout=WAIT)
    expect(page.locator("#classes li")).to_have_count(5)
    expect(page.locator("#crops img")).to_have_count(10)
    assert page.locator("#responses").evaluate("image => image.naturalWidth") > 100


def test_a_file_that_is_no_image_is_said_to_be_none(page, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    upload(page, tmp_path / "text.jpg")
    expect(page.locator("#status")).to_contain_text(
        "cannot be shown: not a readable image", timeout=WAIT
    )
    expect(page.locator("#answer")).to_be_hidden()


def test_a_picture_of_fifty_megapixels_is_answered(page, tmp_path):
    Image.new("RGB", (10_000, 5_000), (200, 100, 50)).save(tmp_path / "large.jpg")
    upload(page, tmp_path / "large.jpg")
    expect(page.locator("#status")).to_contain_text("large.jpg: answered", timeout=WAIT)


def test_a_file_above_the_limit_is_not_sent(page, tmp_path):
    (tmp_path / "huge.png").write_bytes(bytes(20_000_001))
    upload(page, tmp_path / "huge.png")
    expect(page.locator("#status")).to_contain_text("larger than 20 MB", timeout=WAIT)


def test_two_users_press_samples_at_once(page, browser, address):
    other = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    other.goto(address)
    for user, number in ((page, 1), (other, 2)):
        user.locator(f"[data-sample='{number}']").click()
    for user in (page, other):
        expect(user.locator("#status")).to_contain_text("answered", timeout=WAIT)
        expect(user.locator("#answer")).to_be_visible()
    assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
    other.close()
