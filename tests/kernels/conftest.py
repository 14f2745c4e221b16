import pytest


@pytest.fixture(scope="module", autouse=True)
def _compiled_without_optimization(compiled_without_optimization):
    """Nearly every program of these tests is small."""
