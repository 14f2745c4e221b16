from pathlib import Path

from short_run import REPOSITORY

from alexnet_jax.config_page import config_page


def test_the_page_in_docs_is_the_schema():
    page = Path(REPOSITORY / "docs" / "config.md").read_text()
    assert page == config_page(), "python -m alexnet_jax.config_page > docs/config.md"
