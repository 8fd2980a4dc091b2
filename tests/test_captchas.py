"""The data set: its items and parts, and how it is split."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, random_split

from ocrlib.captchas import Captchas, split, to_tensor


def toy(n=10):
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 2, 3).clone()
    texts = [f"{i:05}" for i in range(n)]
    return Captchas(images, texts, [f"{text}.png" for text in texts], "real", "a toy")


# --- the data set ----------------------------------------------------------------------------------------------------------


def test_items():
    captchas = toy()
    image, text = captchas[3]
    assert len(captchas) == 10 and text == "00003"
    assert (tuple(image.shape), image.dtype, image.unique().tolist()) == ((1, 2, 3), torch.uint8, [3])
    assert captchas[-1][1] == "00009"
    assert [text for _, text in captchas] == captchas.texts
    with pytest.raises(IndexError):
        captchas[10]
    with pytest.raises(TypeError, match="slice"):
        captchas[0:2]


def test_works_with_a_loader():
    images, texts = next(iter(DataLoader(toy(), batch_size=4)))
    assert tuple(images.shape) == (4, 1, 2, 3) and list(texts) == ["00000", "00001", "00002", "00003"]


def test_pickles():
    captchas = toy()
    again = pickle.loads(pickle.dumps(captchas))
    assert again.fingerprint() == captchas.fingerprint()
    assert (repr(again), again.names, again[1][1]) == (repr(captchas), captchas.names, "00001")


def test_subset():
    part = toy().subset(torch.tensor([7, 2]))
    assert (part.texts, part.names) == (["00007", "00002"], ["00007.png", "00002.png"])
    assert part.images[:, 0, 0, 0].tolist() == [7, 2]
    assert part[0][1] == "00007"
    assert part.contents == part.subset([1]).contents == "a part of a toy"
    assert toy().subset(range(-10, 0)).contents == "a toy"
    with pytest.raises(IndexError, match=r"There are 10 captchas, .* from 0 to 9; got \[10, 99\]"):
        toy().subset([3, 10, 99])
    for mask in ([True] * 10, torch.ones(10, dtype=torch.bool), np.ones(10, bool)):
        with pytest.raises(IndexError, match="10 positions that are True or False"):
            toy().subset(mask)  # as numbers, they would all mean position 1


def test_fingerprint_sees_every_change():
    prints = {toy().fingerprint(), toy(9).fingerprint(), toy().subset([*range(1, 10), 0]).fingerprint()}
    other_pixel, other_text = toy(), toy()
    other_pixel.images[4, 0, 1, 1] += 1
    other_text.texts[4] = "00009"
    other_shape = toy()
    other_shape.images = other_shape.images.view(10, 1, 3, 2)
    prints |= {other.fingerprint() for other in (other_pixel, other_text, other_shape)}
    assert len(prints) == 6
    assert toy().fingerprint() == toy().fingerprint()


def test_parts_that_do_not_fit_together():
    with pytest.raises(ValueError, match="2 images, 1 texts, 2 names"):
        Captchas(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), ["a"], ["a", "b"], "real", "")
    with pytest.raises(ValueError, match=r"uint8 \(N, 1, H, W\), got torch.float32"):
        Captchas(torch.zeros(1, 1, 4, 4), ["a"], ["a"], "real", "")
    with pytest.raises(ValueError, match=r"got torch.uint8 \(1, 3, 4, 4\)"):
        Captchas(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), ["a"], ["a"], "real", "")


def test_a_tensor_from_pictures():
    pictures = [np.full((2, 3), i, np.uint8) for i in range(4)]
    images = to_tensor(pictures)
    assert tuple(images.shape) == (4, 1, 2, 3) and images.dtype == torch.uint8 and images[:, 0, 1, 2].tolist() == [0, 1, 2, 3]


# --- splitting -------------------------------------------------------------------------------------------------------------


def test_split_is_disjoint_complete_and_torchs():
    captchas = toy()
    train, test = split(captchas, (7, 3), seed=5)
    assert (len(train), len(test)) == (7, 3)
    assert sorted(train.texts + test.texts) == captchas.texts
    expected = random_split(range(10), [7, 3], generator=torch.Generator().manual_seed(5))
    assert [train.texts, test.texts] == [[captchas.texts[i] for i in part] for part in expected]
    assert train.images[:, 0, 0, 0].tolist() == [int(text) for text in train.texts]
    assert len(split(captchas, (5, 3, 2))) == 3


def test_split_depends_on_names_and_seed_alone():
    captchas = toy()
    train = split(captchas, (7, 3))[0]
    torch.manual_seed(1)
    assert split(captchas, (7, 3))[0].texts == train.texts
    assert split(captchas.subset([4, 9, 0, 2, 7, 1, 3, 8, 6, 5]), (7, 3))[0].texts == train.texts
    assert split(captchas, (7, 3), seed=43)[0].texts != train.texts


SIZES = {
    "too small": ((7, 2), r"7 \+ 2 = 9 must add up to the 10 captchas"),
    "too large": ((820, 250), r"820 \+ 250 = 1,070 must add up to the 10 captchas there are \(a toy\)"),
    "zero": ((10, 0), r"at least one captcha; got the sizes 10 \+ 0"),
    "negative": ((11, -1), r"at least one captcha; got the sizes 11 \+ -1"),
    "fractions": ((0.7, 0.3), r"got the sizes 0.7 \+ 0.3"),
}


@pytest.mark.parametrize("sizes, words", SIZES.values(), ids=SIZES.keys())
def test_impossible_sizes(sizes, words):
    with pytest.raises(ValueError, match=words):
        split(toy(), sizes)


def test_two_captchas_of_one_stem_are_not_split():
    captchas = toy()
    captchas.names[3] = "00007.jpg"
    with pytest.raises(ValueError, match="come more than once: 00007. Keep one"):
        split(captchas, (7, 3))


def test_joined_captchas_are_these_and_then_the_others():
    first, second = toy(2), toy(3)
    both = first.joined(second)
    assert both.texts == first.texts + second.texts and both.names == first.names + second.names
    assert both.images.equal(torch.cat([first.images, second.images]))
    assert both.contents == "a toy, and 3 a toy" and both.source == "real"


def test_captchas_of_two_sizes_cannot_be_joined():
    other = Captchas(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), ["a"], ["a"], "real", "")
    with pytest.raises(ValueError, match="Images of 3 x 2 and of 4 x 4 pixels"):
        toy(2).joined(other)
