"""Formulas drawn when the site is made, so that no page has to load a program to show them.

matplotlib reads the TeX, and the outlines it draws become an SVG picture in the text's own size and colour.
"""

from __future__ import annotations

import html
import re

import matplotlib
from matplotlib.path import Path
from matplotlib.textpath import TextPath

UNITS = 100  # to an em
SCALE = 1.18  # the formulas' typeface looks smaller than the text's
LARGE = {r"\frac": r"\dfrac", r"\binom": r"\genfrac{(}{)}{0}{0}"}  # in a line of its own
LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


def draw(tex: str, block: bool = False) -> str:
    """TeX without its dollars, as SVG; as code where matplotlib doesn't know a command. ``block``: a line of its own."""
    tex = " ".join(tex.split())
    kind = "formula block" if block else "formula"
    try:
        path = outline(re.sub(r"\\(frac|binom)\b", lambda match: LARGE[match.group()], tex) if block else tex)
    except ValueError:
        return f'<code class="{kind}">{html.escape(tex)}</code>'
    (left, bottom), (right, top) = path.get_extents().get_points()
    corners = f"{left:.0f} {-top:.0f} {right - left:.0f} {top - bottom:.0f}"
    width, height, sunk = (SCALE * length / UNITS for length in (right - left, top - bottom, bottom))
    return (
        f'<span class="{kind}" role="img" aria-label="{html.escape(tex)}"><svg viewBox="{corners}" aria-hidden="true" '
        f'style="width: {width:.2f}em; height: {height:.2f}em; vertical-align: {sunk:.2f}em">'
        f'<path d="{commands(path)}"/></svg></span>'
    )


def outline(tex: str) -> Path:
    """The formula's outline, its baseline at 0, ``UNITS`` to an em. Raises ``ValueError`` for what matplotlib can't read."""
    with matplotlib.rc_context({"mathtext.fontset": "stix"}):
        path = TextPath((0, 0), f"${tex}$", size=UNITS)
    if not len(path.vertices):
        raise ValueError(f"There is nothing to see in ${tex}$.")
    return path


def commands(path: Path) -> str:
    """A path in SVG's words. SVG counts downwards."""
    words = []
    for points, code in path.iter_segments(simplify=False):
        pairs = [] if code == Path.CLOSEPOLY else points.reshape(-1, 2).tolist()
        words.append(LETTERS[code] + " ".join(f"{x:.1f} {-y:.1f}" for x, y in pairs))
    return "".join(words)
