"""Training steps that were measured on other devices, for comparison with this machine."""

import json
from importlib.resources import files
from typing import Any


def measured_elsewhere(
    network: str, dtype: str, precision: str, batch_size: int
) -> list[dict[str, Any]]:
    """Return the measurements of this step on other devices; none where nobody measured it.

    Args:
        network: Name of the network, as `name_network` returns it.
        dtype: "float32" or "bfloat16".
        precision: Precision of float32 products; bfloat16 has no choice.
        batch_size: Images per step.

    Returns:
        The device, jax (its version), milliseconds of a step with augmentation and update, source.
    """
    text = (files(__package__) / "step_times.json").read_text("utf-8")
    wanted = {"network": network, "dtype": dtype, "batch_size": batch_size}
    wanted["precision"] = precision if dtype == "float32" else None
    return [row for row in json.loads(text) if wanted.items() <= row.items()]
