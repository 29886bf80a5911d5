"""Paper and ink: a figure for a phone's width, and the figure as a part of a page.

Knows matplotlib's SVG, and what a page needs of it: text that is text, colours that the page
decides, and no id twice. Refuses to know what is drawn.
"""

# matplotlib types its methods, but not their **kwargs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree as ET

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.figure import Figure

WIDTH: Final = 328
"""A phone of 360 pixels less its margins: there, a unit of a drawing is a pixel."""
TEXT: Final = 12
"""The size of all text, in units of the drawing."""
INK: Final = "#000001"
FAINT: Final = "#000002"
LIMIT: Final = "#000003"
PAPER: Final = "#000004"
_HUES: Final = 7
"""How many hues there are, numbered from 0."""
_VARIABLES: Final = {
    INK: "--ink",
    FAINT: "--faint",
    LIMIT: "--limit",
    PAPER: "--paper",
    **{f"#00001{each}": f"--hue-{each}" for each in range(_HUES)},
}
_COLOUR: Final = re.compile("|".join(_VARIABLES))
_REFERENCE: Final = re.compile(r"#([\w.-]+)")
_MARK: Final = "mark"
_POINTS: Final = 72
_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name with two dollar signs is a name
    "font.size": TEXT,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.handlelength": 1.0,
    "legend.columnspacing": 1.2,
}


def hue(number: int) -> str:
    """Return a colour by its number; the page says which it is, by day and by night."""
    return f"#00001{number % _HUES}"


class Drawing:
    """A figure that is being drawn; `svg` is there when it is done."""

    def __init__(self, height: int) -> None:
        self.figure = Figure(figsize=(WIDTH / _POINTS, height / _POINTS), layout="constrained")
        self.axes = self.figure.add_subplot()
        self.svg = ""

    def mark(self, artist: Artist) -> None:
        """Name what shows data, apart from axes and text: the page has it as `.mark`."""
        artist.set_gid(_MARK)

    def done(self, name: str, title: str, says: str) -> None:
        """Make the SVG: an image with a title and a description for those who do not see it."""
        file = io.StringIO()
        with style.context({"svg.hashsalt": name}):
            self.figure.savefig(file, format="svg", transparent=True)
        self.svg = _inline(file.getvalue(), name, title, says)


@contextmanager
def drawing(height: int) -> Generator[Drawing]:
    """Draw on a paper of so many units of height, whatever the user's own settings are."""
    with style.context(["default", _SETTINGS]):
        yield Drawing(height)


def _inline(text: str, name: str, title: str, says: str) -> str:
    root = ET.fromstring(text)  # noqa: S314 - made here, of escaped text
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
        for key in list(each.attrib):
            each.set(key.rpartition("}")[2], each.attrib.pop(key))
        if style := each.get("style"):
            each.set("style", _COLOUR.sub(lambda it: f"var({_VARIABLES[it[0]]})", style))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {"metadata", "style"}:
                parent.remove(child)
    _name_ids(root)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    for place, (tag, words) in enumerate((("title", title), ("desc", says))):
        element = ET.Element(tag, id=f"{name}-{tag}")
        element.text = words
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def _name_ids(root: ET.Element) -> None:
    """Keep the ids that something refers to, which are salted; a mark becomes a class."""
    used = {
        found
        for each in root.iter()
        for key in ("clip-path", "href", "style")
        for found in _REFERENCE.findall(each.get(key, ""))
    }
    for each in root.iter():
        own = each.get("id")
        if own is None or own in used:
            continue
        del each.attrib["id"]
        if own.startswith(_MARK):
            each.set("class", _MARK)
