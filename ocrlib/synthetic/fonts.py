"""Texts of any script in figures: fonts for what DejaVu lacks, among those that matplotlib finds on this machine."""

import functools
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from ocrlib.runtime import Remark

MONO, SANS = "DejaVu Sans Mono", "DejaVu Sans"  # which come with matplotlib
OURS = frozenset({MONO, SANS})


@contextmanager
def texts_as_they_stand(figure: Figure) -> Iterator[None]:
    """In it, ``figure`` is drawn with its texts as they are: ``$`` begins no formula, and each symbol gets a font that has it.

    A warning names scripts that no font on this machine has.
    """
    for ax in figure.axes:
        ax.get_xticklabels(), ax.get_yticklabels()  # makes matplotlib write them: else it would while it draws
    for text in figure.findobj(Text):
        text.set_parse_math(r"\mathdefault" in text.get_text())  # matplotlib's own, of a logarithmic axis
        if fonts := fallback_fonts(text.get_text()):
            text.set_fontfamily([*text.get_fontfamily(), *fonts])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib's, one a symbol
        yield


@functools.lru_cache(maxsize=4096)
def fallback_fonts(text: str) -> tuple[str, ...]:
    """Families to stand behind DejaVu Sans Mono in a list, so that each symbol of ``text`` has a font; none if it needs none.

    What no font has is named in a warning, once for each script.
    """
    lacking = {symbol for symbol in text if symbol.isprintable()} - symbols_of(MONO)
    if text.isascii() or not lacking:
        return ()
    found = []
    for family in (SANS, *_others()):
        if lacking & symbols_of(family):
            found.append(family)
            lacking -= symbols_of(family)
        if not lacking:
            break
    for script in sorted({script_of(symbol) for symbol in lacking} - _named):
        _named.add(script)
        shown = "".join(sorted(symbol for symbol in lacking if script_of(symbol) == script)[:5])
        warnings.warn(
            f"No font on this machine has {script}, such as {shown}: it is drawn as boxes. Install a font that has it, such as "
            "one of Google's Noto fonts, delete matplotlib's font cache (matplotlib.get_cachedir()) and restart the kernel.",
            Remark, stacklevel=2,
        )  # fmt: skip
    return tuple(found)


_named: set[str] = set()  # scripts that a warning was about


def typed_width(text: str) -> int:
    """How many letters of a typewriter's width ``text`` takes: Chinese and Japanese symbols take two, combining marks none."""
    return sum(0 if unicodedata.combining(s) else 2 if unicodedata.east_asian_width(s) in "WF" else 1 for s in text)


def script_of(symbol: str) -> str:
    """A script in words, by the symbol's Unicode name: "Hebrew", "CJK"; "emoji and signs" for what is no letter."""
    if unicodedata.category(symbol)[0] not in "LMN":
        return "emoji and signs"
    word = unicodedata.name(symbol, "private symbols").split()[0]
    return word if word == "CJK" else word.capitalize()


@functools.cache
def _others() -> Iterable[str]:
    return tuple(sorted(_files().keys() - OURS))


@functools.cache
def _files() -> Mapping[str, str]:
    fonts = reversed(font_manager.fontManager.ttflist)  # of a family, the first stays
    return {font.name: font.fname for font in fonts if not font.name.startswith("Last Resort")}  # which has boxes for everything


@functools.cache
def symbols_of(family: str) -> frozenset[str]:
    """The symbols that a family of fonts has; none if its file can't be read."""
    try:
        return frozenset(map(chr, FT2Font(_files()[family]).get_charmap()))
    except (KeyError, OSError, RuntimeError):
        return frozenset()
