"""Corrected labels: off by default, only for the published images, and none on the evidence of a single seed."""

import pytest

from ocrlib import load_captchas
from ocrlib.data import published as module
from ocrlib.data.published import Correction, correct, corrections, published
from ocrlib.synthetic.generator import SYMBOLS


def test_each_correction_is_of_a_published_label_by_one_symbol():
    assert corrections()
    for label, row in corrections().items():
        assert label in published() and row.label == label
        assert len(row.shown) == 5 and set(row.shown) <= set(SYMBOLS)
        assert sum(a != b for a, b in zip(label, row.shown)) == 1


def test_none_rests_on_a_single_seed():
    for row in corrections().values():
        assert 2 <= row.seeds <= row.of_seeds and 2 <= row.networks <= row.of_networks


@pytest.fixture
def one_wrong(monkeypatch, pretend_published):
    """The first image of the folder was published with a label that is not what it shows."""
    label = next(iter(pretend_published))
    shown = ("2" if label[0] != "2" else "3") + label[1:]
    monkeypatch.setattr(module, "published", lambda: pretend_published)
    monkeypatch.setattr(module, "corrections", lambda: {label: Correction(label, shown, 3, 3, 9, 9)})
    return label, shown


def test_labels_are_as_published_unless_asked(one_wrong, captcha_folder):
    label, shown = one_wrong
    as_given, mended = load_captchas(captcha_folder), load_captchas(captcha_folder, corrected=True)
    i = as_given.texts.index(label)
    assert mended.texts[i] == shown and mended.names == as_given.names, "splits stay as they are"
    assert [old for old, new in zip(as_given.texts, mended.texts) if old != new] == [label]
    assert mended.contents == f"{as_given.contents}, 1 of the labels corrected"


def test_another_image_of_the_same_name_keeps_its_label(one_wrong, pretend_published):
    label, shown = one_wrong
    assert correct([label], [pretend_published[label][1]]) == [shown] == correct([label])
    assert correct([label], ["0123456789abcdef"]) == [label]


def test_generated_images_have_nothing_to_correct():
    assert load_captchas(source="synthetic", corrected=True).texts == load_captchas(source="synthetic").texts
