"""A plugin of pytest for `make mutation`: fast tests first, since the first failure ends a run."""

import json
from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)  # After conftest.py has put the slowest files first.
def pytest_collection_modifyitems(items):
    """Order the tests by the durations that mutmut has measured, if it has."""
    stats = Path("mutmut-stats.json")
    if stats.exists():
        durations = json.loads(stats.read_text())["duration_by_test"]
        items.sort(key=lambda item: durations.get(item.nodeid, 0.0))
