"""What the docs name is there: files of code, links, headings and pages of the site."""

import re
import tomllib

import pytest
from short_run import REPOSITORY

DOCS = REPOSITORY / "docs"
SITE = sorted(DOCS.rglob("*.md"))
PAGES = sorted([*REPOSITORY.glob("*.md"), REPOSITORY / "benchmarks" / "README.md", *SITE])
ROOTS = (REPOSITORY, REPOSITORY / "alexnet_jax")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_page_names_files_of_code_that_exist(page):
    named = set(re.findall(r"`([a-z_]+/[a-z_0-9/]+\.py)`", page.read_text()))
    assert [name for name in named if not any((root / name).is_file() for root in ROOTS)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page):
    for link in re.findall(r"\]\((?!https?://|mailto:)([^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"\s+", "-", heading) for heading in words}


def test_the_site_lists_every_page_once():
    site = tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]
    listed = sorted(DOCS / page for page in pages_of(site["nav"]))
    assert listed == SITE


def pages_of(entries):
    """Yield the files that a navigation lists, at any depth."""
    for entry in entries:
        (content,) = entry.values()
        yield from [content] if isinstance(content, str) else pages_of(content)
