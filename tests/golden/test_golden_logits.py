import json

import pytest
from golden_logits import GOLDEN_LOGITS, first_logits, logits_faults

from alexnet_jax.models import MODELS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", MODELS)
def test_logits_from_seed_0_are_those_that_were_recorded(name):
    golden = json.loads(GOLDEN_LOGITS.read_text())
    assert not logits_faults(golden, {name: first_logits(name)})


def test_a_logit_that_moves_is_reported():
    golden = {"tiny": [[1.0, -2.0]]}
    assert not logits_faults(golden, {"tiny": [[1.00001, -2.0]]})
    assert logits_faults(golden, {"tiny": [[1.0001, -2.0]]}) == ["logits/tiny: by 5.0e-05"]
