"""Symbols that mislead: those that nobody can see, and those that look like another one."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ocrlib.texts import first_few

# Unicode's "default ignorable" letters and marks, and the Braille pattern without a dot: they pass for printable.
_IGNORABLE = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10),
              *range(0xE0100, 0xE01F0)}  # fmt: skip
_REPLACEMENT = 0xFFFD  # what a decoder writes for bytes that it can't read
# Letters of Cyrillic and of Greek -> those of Latin that look the same.
_TWINS = dict(zip("\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423"
                  "\u0430\u0441\u0435\u0456\u0458\u043e\u0440\u0455\u0445\u0443", "ABCEHIJKMOPSTXYaceijopsxy"))  # fmt: skip
_TWINS |= dict(zip("\u0391\u0392\u0395\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7\u03a5\u0396\u03bf",
                   "ABEHIKMNOPTXYZo"))  # fmt: skip
_SPELLED = 10  # symbols named in a remark; the others are counted


def is_unseen(symbol: str) -> bool:
    """Whether it leaves no mark on paper, the plain space excepted, or stands for bytes that could not be read."""
    return not symbol.isprintable() or ord(symbol) in _IGNORABLE or ord(symbol) == _REPLACEMENT


def name_of(symbol: str) -> str:
    """The symbol itself, or its code point and Unicode name if it can't be told by sight: "U+200B (ZERO WIDTH SPACE)"."""
    if not (is_unseen(symbol) or unicodedata.combining(symbol) or symbol in _TWINS or _plain(symbol) != symbol):
        return symbol
    shown = "" if is_unseen(symbol) or unicodedata.combining(symbol) else f"{symbol} "
    name = unicodedata.name(symbol, "")
    return f"{shown}U+{ord(symbol):04X}" + f" ({name})" * bool(name)


def _plain(symbol: str) -> str:
    """The usual form of a full-width or half-width symbol; any other symbol itself."""
    is_wide = unicodedata.decomposition(symbol).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", symbol) if is_wide else symbol


def symbol_remarks(texts: Sequence[str], names: Sequence[str], known: str = "") -> list[str]:
    """Sentences on symbols of the texts that mislead, each with the names of some images; ``known`` ones are left out."""
    where: dict[str, list[str]] = {}
    for text, name in zip(texts, names):
        for symbol in set(text) - set(known):
            where.setdefault(symbol, []).append(name)
    seen, remarks = set(where) | set(known), []

    def tell(what: str, symbols: list[str]) -> None:
        if symbols:
            spelled = [f"{name_of(symbol)} in {first_few(where[symbol])}" for symbol in sorted(symbols)]
            more = f" and {len(spelled) - _SPELLED:,} more" if len(spelled) > _SPELLED else ""
            each = ", ".join(spelled[:_SPELLED]) + more
            remarks.append(f"{what}: {each}. Each becomes a class of its own: correct the texts if it should not.")

    tell("Symbols that nobody can see", [symbol for symbol in where if is_unseen(symbol)])
    tell("Accents of their own, apart from their letters", [s for s in where if unicodedata.combining(s) and not is_unseen(s)])
    tell("Full-width or half-width symbols", [s for s in where if _plain(s) != s and not is_unseen(s)])
    tell("Letters that look like Latin ones, which are there too", [s for s in where if _TWINS.get(s) in seen])
    return remarks
