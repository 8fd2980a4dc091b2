"""Symbols that mislead are named by their code points: those that nobody can see, and those that look like others."""

import pytest

from ocrlib.data.symbols import is_unseen, name_of, symbol_remarks

UNSEEN = {
    "\u200b": "U+200B (ZERO WIDTH SPACE)", "\u00a0": "U+00A0 (NO-BREAK SPACE)", "\u3000": "U+3000 (IDEOGRAPHIC SPACE)",
    "\u00ad": "U+00AD (SOFT HYPHEN)", "\u200e": "U+200E (LEFT-TO-RIGHT MARK)", "\ufeff": "U+FEFF (ZERO WIDTH NO-BREAK SPACE)",
    "\u3164": "U+3164 (HANGUL FILLER)", "\ufe0f": "U+FE0F (VARIATION SELECTOR-16)", "\u2800": "U+2800 (BRAILLE PATTERN BLANK)",
    "\ufffd": "U+FFFD (REPLACEMENT CHARACTER)", "\t": "U+0009", "\x7f": "U+007F", "\ue000": "U+E000",
}  # fmt: skip


@pytest.mark.parametrize("symbol, name", UNSEEN.items(), ids=UNSEEN.values())
def test_symbols_nobody_can_see_are_named_by_code_point(symbol, name):
    assert is_unseen(symbol) and name_of(symbol) == name
    (remark,) = symbol_remarks(["AB", f"A{symbol}B"], ["a.png", "b.png"])
    assert remark.startswith(f"Symbols that nobody can see: {name} in b.png.")
    assert symbol_remarks([f"A{symbol}"], ["a.png"], known=f"A{symbol}") == []


def test_a_name_whose_bytes_are_no_utf8_has_symbols_nobody_can_see():
    assert name_of(b"\xc6".decode("utf-8", "surrogateescape")) == "U+DCC6"


@pytest.mark.parametrize("text", ["A 1-b", "\u00e9\u0416\u4e2d\u05d0\u0627", "\U0001f600", "$%_", "\u0663", "\u0410\u0411"])
def test_symbols_that_can_be_seen(text):
    assert symbol_remarks([text], ["a.png"]) == [] and not any(map(is_unseen, text))


def test_full_width_digits_are_mentioned():
    (remark,) = symbol_remarks(["12", "\uff11\uff12", "\uff11"], ["a", "b", "c"])
    assert "Full-width or half-width symbols: \uff11 U+FF11 (FULLWIDTH DIGIT ONE) in b, c, \uff12 U+FF12" in remark


def test_letters_of_other_scripts_that_look_alike():
    assert symbol_remarks(["\u0410\u0412"], ["a"]) == []  # all Cyrillic
    (remark,) = symbol_remarks(["AB", "\u0410B"], ["a", "b"])
    assert "look like Latin ones, which are there too: \u0410 U+0410 (CYRILLIC CAPITAL LETTER A) in b." in remark


def test_an_accent_without_a_letter_of_its_own():
    (remark,) = symbol_remarks(["x\u0302"], ["a"])
    assert "Accents of their own, apart from their letters: U+0302 (COMBINING CIRCUMFLEX ACCENT) in a." in remark


def test_many_symbols_are_counted():
    (remark,) = symbol_remarks(["".join(map(chr, range(0xFF10, 0xFF1A))) + "\uff21\uff22"], ["a"])
    assert "and 2 more. Each becomes a class" in remark
