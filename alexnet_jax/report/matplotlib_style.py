"""Figures for papers: a common style, and the files that they are written to."""

import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK = "#010203"  # Stands for the color of the page's text.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # Text stays text: it can be searched and read aloud.
    "svg.hashsalt": "alexnet_jax",  # The same figure gives the same file.
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.color": INK,
    "patch.edgecolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
}


def figure_style() -> AbstractContextManager[None]:
    """Return a context in which figures have the style of the report's."""
    return mpl.rc_context(_STYLE)


@dataclass(frozen=True)
class Drawing:
    """A figure and the sentence that says what it shows."""

    figure: Figure
    alt: str

    def inline_svg(self) -> str:
        """Return SVG for an HTML page, its ink the color of the page's text."""
        svg = self._svg()
        svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
        head, body = svg.split(">", 1)
        words = self.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        return f'{head} role="img" aria-label="{words}">{body}'

    def write(self, folder: Path, name: str) -> None:
        """Write NAME.svg and NAME.png, black on white."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text(self._svg().replace(INK, "#000000"))
        with figure_style():
            self.figure.savefig(folder / f"{name}.png", dpi=200, facecolor="white")

    def _svg(self) -> str:
        text = io.StringIO()
        with figure_style():
            self.figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        return text.getvalue()
