"""Each symbol's probability against all paths, and its place against images whose symbols' places are known."""

import io
import math
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from toys import ToyCE, ToyCTC, toy_captchas

from ocrlib import CTC, Alphabet, CrossEntropy, TrainedModel, read
from ocrlib.checkpoints import load_pretrained
from ocrlib.ctc.alignments import collapse
from ocrlib.ctc.constraints import Constrained
from ocrlib.ctc.decoding import exhaustive_search
from ocrlib.ctc.places import DetailedText, symbol_probabilities, symbols_of
from ocrlib.evaluation import predict
from ocrlib.synthetic.generator import SyntheticCaptchas, distort, draw_symbols, image_rng, symbol_middles

ABC = Alphabet("abc")


@pytest.mark.parametrize("target", [(1,), (1, 1), (1, 2), (2, 1, 1), (1, 2, 1), (3, 3, 3), (1, 2, 3)])
@pytest.mark.parametrize("spread", [1.0, 6.0])
def test_a_symbols_probability_is_that_of_its_text_among_those_without_just_it(target, spread):
    generator = torch.Generator().manual_seed(len(target))
    log_probs = (spread * torch.randn(6, 4, generator=generator, dtype=torch.float64)).log_softmax(1)
    every = {reading.target: math.exp(reading.log_prob) for reading in exhaustive_search(log_probs)}
    found = symbol_probabilities(log_probs, target).tolist()
    for i, probability in enumerate(found):
        others = {(*target[:i], *symbol, *target[i + 1 :]) for symbol in ((), (1,), (2,), (3,))}
        assert probability == pytest.approx(every[target] / sum(every.get(other, 0) for other in others), rel=1e-9)


def test_a_blank_may_have_another_index():
    log_probs = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log_softmax(1)
    moved = log_probs[:, [1, 2, 0, 3]]  # the blank is 2; 0 and 1 were 1 and 2
    torch.testing.assert_close(symbol_probabilities(moved, (0, 1, 0), blank=2), symbol_probabilities(log_probs, (1, 2, 1)))


def ways_of(target, steps):
    return [path for path in product(range(4), repeat=steps) if collapse(path) == target]


def test_a_centre_is_the_mean_of_the_steps_over_all_paths_of_the_text():
    logits = 2 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    log_probs, centres = logits.log_softmax(1), np.arange(6) * 10.0 + 3
    paths = [(path, math.exp(float(log_probs[range(6), path].sum()))) for path in ways_of((1, 2), 6)]
    middles = []
    for symbol in (1, 2):
        at = [sum(p for path, p in paths if path[t] == symbol) for t in range(6)]
        middles.append(np.dot(at, centres) / sum(at))
    first, second = symbols_of("ab", logits, CTC(ABC), centres, (100, 20))
    between = sum(middles) / 2
    assert first.right == second.left == pytest.approx(between)
    assert first.left == pytest.approx(max(0, 2 * middles[0] - between))
    assert second.right == pytest.approx(2 * middles[1] - between)
    assert symbols_of("", logits, CTC(ABC), centres, (100, 20)) == ()
    [alone] = symbols_of("a", logits, CTC(ABC), centres, (100, 20))
    assert alone.right - alone.left == pytest.approx(10) or alone.left == 0


def test_of_cross_entropy_position_and_probability_are_those_of_the_step():
    logits = torch.log(torch.tensor([[0.1, 0.7, 0.1, 0.1], [0.8, 0.1, 0.05, 0.05], [0.2, 0.1, 0.1, 0.6]]))
    first, second = symbols_of("ac", logits, CrossEntropy(ABC), np.array([10.0, 30.0, 50.0]), (60, 20))
    assert (first.symbol, first.probability, first.left, first.right) == ("a", pytest.approx(0.7), 0, 30)
    assert (second.symbol, second.probability, second.left, second.right) == ("c", pytest.approx(0.6), 30, 60)


@pytest.mark.parametrize("kind", [ToyCTC, ToyCE])
def test_details_stand_beside_what_is_read_without(kind):
    torch.manual_seed(3)
    model, captchas = TrainedModel(kind().eval(), ABC, 24), toy_captchas(9)
    plain, found = read(captchas, model), read(captchas, model, batch_size=4, details=True)
    for (text, confidence), reading in zip(plain, found, strict=True):
        again, sure = reading
        assert (again, sure) == (reading.text, reading.confidence) == (text, pytest.approx(confidence))
        assert "".join(symbol.symbol for symbol in reading.symbols) == text and reading.share == 1
        edges = [edge for symbol in reading.symbols for edge in (symbol.left, symbol.right)]
        assert edges == sorted(edges) and all(0 <= edge <= 24 for edge in edges)
        assert all(0 < symbol.probability <= 1 for symbol in reading.symbols)
    assert str(found[0]) == str(plain[0])
    with pytest.raises(AttributeError):
        found[0].text = "other"
    assert read([], model, details=True) == []


@pytest.fixture(scope="module")
def captchas():
    """Generated images, their texts, and the columns in which each symbol has ink."""
    drawn = SyntheticCaptchas(40, seed=5)
    places = []
    for i, text in enumerate(drawn.texts):
        inks = draw_symbols(text, image_rng(5, i).integers(2, size=len(text)))
        inked = [np.flatnonzero((distort(ink) > 0.2).any(0)) for ink in inks]
        places.append([(columns[0], columns[-1] + 1) for columns in inked])
    return [drawn[i][0] for i in range(40)], drawn.texts, places


def overlap(symbol, place):
    inside = min(symbol.right, place[1]) - max(symbol.left, place[0])
    return max(inside, 0) / (max(symbol.right, place[1]) - min(symbol.left, place[0]))


def test_boxes_lie_on_the_symbols_of_the_original_image(captchas):
    pictures, texts, places = captchas
    found = read(pictures, load_pretrained(), details=True)
    right = [(reading, place) for reading, text, place in zip(found, texts, places) if reading.text == text]
    assert len(right) > 35
    overlaps = [overlap(symbol, one) for reading, place in right for symbol, one in zip(reading.symbols, place)]
    assert np.mean(overlaps) > 0.68 and np.quantile(overlaps, 0.05) > 0.45
    assert np.mean([symbol.probability for reading, _ in right for symbol in reading.symbols]) > 0.98
    middles = np.array([[(s.left + s.right) / 2 for s in reading.symbols] - symbol_middles(reading.text) for reading, _ in right])
    assert abs(middles.mean()) < 5  # of 200 pixels


def test_boxes_are_in_pixels_of_the_image_as_it_was_given(captchas, tmp_path):
    model, (picture, *_) = load_pretrained(), captchas[0]
    [found] = read(picture, model, details=True)
    twice = picture.resize((400, 100), Image.Resampling.BOX)
    twice.save(tmp_path / "twice.png")
    content = (tmp_path / "twice.png").read_bytes()
    ways = (twice, tmp_path / "twice.png", content, io.BytesIO(content), np.asarray(twice), iter([twice]))
    for [other] in (read(way, model, details=True) for way in ways):
        assert other.text == found.text
        for small, large in zip(found.symbols, other.symbols):
            assert (large.left, large.right) == pytest.approx((2 * small.left, 2 * small.right), abs=4)
    [padded] = read(picture.resize((200, 100)), model, details=True, fit="pad")  # 64 of 96 columns show it
    assert all(0 <= symbol.left <= symbol.right <= 200 for symbol in padded.symbols)
    turned, exif = picture.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)
    with pytest.warns(UserWarning, match="turned upright"):
        [upright] = read(tmp_path / "turned.png", model, details=True)
    assert [symbol[2:] for symbol in upright.symbols] == [symbol[2:] for symbol in found.symbols]


def test_of_a_tensor_boxes_are_in_its_own_pixels(captchas):
    model = load_pretrained()
    [found] = read(captchas[0][0], model, details=True)
    from ocrlib.evaluation import as_tensor

    [own] = read(as_tensor(captchas[0][0], model.width), model, details=True)
    for small, large in zip(own.symbols, found.symbols):
        assert (small.left, small.right) == pytest.approx((large.left * model.width / 200, large.right * model.width / 200))


def test_symbols_are_judged_among_those_that_are_allowed():
    torch.manual_seed(3)
    model, captchas = TrainedModel(ToyCTC().eval(), ABC, 24), toy_captchas(3)
    found = read(captchas, model, allowed="ab", pattern="[abc]{2}", details=True)
    logits = predict(model.network, captchas.images)
    shares = Constrained(CTC(ABC), "ab", "[abc]{2}").share(logits).tolist()
    for n, reading in enumerate(found):
        masked = logits[:, n].double().index_fill(1, torch.tensor([3]), -torch.inf).log_softmax(1)
        expected = symbol_probabilities(masked, ABC.encode(reading.text))
        assert [symbol.probability for symbol in reading.symbols] == pytest.approx(expected.tolist())
        assert isinstance(reading, DetailedText) and reading.share == pytest.approx(shares[n]) and 0 < shares[n] < 1
