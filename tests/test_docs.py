"""The files that the docs name are there."""

import re

import pytest
from short_run import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
ROOTS = (REPOSITORY, REPOSITORY / "alexnet_jax")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_of_code_that_exist(page):
    named = set(re.findall(r"`([a-z_]+/[a-z_0-9/]+\.py)`", page.read_text()))
    assert [name for name in named if not any((root / name).is_file() for root in ROOTS)] == []
