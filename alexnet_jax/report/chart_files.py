"""Charts as files for papers: SVG and PNG, black on white."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vl_convert

from alexnet_jax.system.atomic_write import atomic_write

_WIDTH = 560  # Pixels; on the page a chart is as wide as the page allows.


def write_charts(specs: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Write each specification of `charts.themed` as NAME.svg and NAME.png."""
    for name, spec in specs.items():
        black = json.loads(json.dumps(spec).replace("currentColor", "#000000"))
        fixed = black | {"width": _WIDTH, "autosize": "pad", "background": "white"}
        atomic_write(folder / f"{name}.svg", vl_convert.vegalite_to_svg(fixed))
        (folder / f"{name}.png").write_bytes(vl_convert.vegalite_to_png(fixed, scale=2))
