"""Reading in one call: whatever way images come in, the same texts with honest confidences come out."""

import math
import subprocess
import sys

import pytest

pytest.importorskip("hypothesis", reason="needs hypothesis: pip install hypothesis")

import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torchmetrics.functional.text import char_error_rate, edit_distance
from toys import ALPHABET, ToyCE, ToyCTC, toy_captchas

from ocrlib import CTC, Alphabet, BadImage, Captchas, CrossEntropy, History, TrainedModel, evaluate, read
from ocrlib.ctc.constraints import Constrained
from ocrlib.evaluation import binomial_interval, centred_mean, predict, score


class Parrot(nn.Module):
    """Reads each image as the text whose number its first pixel holds, one step a symbol with blanks between."""

    def __init__(self, texts, alphabet):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.texts, self.alphabet = texts, alphabet

    def forward(self, images):
        steps = 2 * max(map(len, self.texts))
        logits = torch.zeros(steps, len(images), len(self.alphabet))
        for n, number in enumerate(images[:, 0, 0, 0].int().tolist()):
            path = [i for index in self.alphabet.encode(self.texts[number]) for i in (index, 0)]
            logits[range(len(path)), n, path] = 1.0
        return logits


def read_as(predicted, true):
    """The report of a network that reads ``predicted`` where ``true`` stands."""
    images = torch.arange(len(true), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    captchas = Captchas(images, true, [f"{i}.png" for i in range(len(true))], "synthetic", "parrot images")
    alphabet = Alphabet("abcd")
    return evaluate(Parrot(predicted, alphabet), CTC(alphabet), captchas, batch_size=2)


def edits(predicted, true):
    """Levenshtein distance by trying everything: first symbols match, or one of three edits is made."""
    if not predicted or not true:
        return len(predicted) + len(true)
    if predicted[0] == true[0]:
        return edits(predicted[1:], true[1:])
    return 1 + min(edits(predicted[1:], true), edits(predicted, true[1:]), edits(predicted[1:], true[1:]))


def test_a_report_counts_edits_characters_and_exact_matches():
    report = read_as(["abc", "ab", "dddd"], ["abc", "abc", "abc"])
    assert (report.edits, report.characters, report.images) == (1 + 4, 9, 3)
    assert report.cer == pytest.approx(5 / 9)
    assert report.exact == pytest.approx(1 / 3)
    assert [(m.name, m.predicted, m.true) for m in report.mistakes] == [("1.png", "ab", "abc"), ("2.png", "dddd", "abc")]
    assert [m.cer for m in report.mistakes] == pytest.approx([1 / 3, 4 / 3])
    assert int(report.mistakes[1].image[0, 0, 0]) == 2
    assert "CER 0.5556 (5 of 9 characters" in str(report) and "(1 of 3 images)" in str(report)


def test_no_mistake_and_nothing_right():
    assert read_as(["ab", "cc"], ["ab", "cc"]).mistakes == []
    assert read_as(["ab", "cc"], ["ab", "cc"]).exact == 1.0
    nothing = read_as(["c"], ["ab"])
    assert (nothing.cer, nothing.exact, nothing.edits) == (1.0, 0.0, 2)


texts = st.lists(st.tuples(st.text("abcd", max_size=4), st.text("abcd", min_size=1, max_size=4)), min_size=1, max_size=4)


@given(texts)
def test_cer_is_summed_edits_over_summed_characters(pairs):
    """CER, the edit count beside it, and brute force say the same."""
    predicted, true = map(list, zip(*pairs))
    report = read_as([text or "" for text in predicted] + ["a"], [*true, "a"])  # "a": the Parrot needs a step
    expected = sum(edits(p, t) for p, t in pairs)
    assert report.edits == expected
    assert report.cer == pytest.approx(report.edits / report.characters)


@given(st.lists(st.tuples(st.text(max_size=9), st.text(min_size=1, max_size=9)), min_size=1, max_size=40))
def test_cer_and_edits_are_torchmetrics_to_the_last_bit(pairs):
    predicted, true = map(list, zip(*pairs))
    images = torch.zeros(len(true), 1, 2, 2, dtype=torch.uint8)
    report = score(predicted, Captchas(images, true, [f"{i}.png" for i in range(len(true))], "synthetic", "nothing"))
    assert report.edits == int(edit_distance(predicted, true, reduction="sum"))
    assert report.cer == float(char_error_rate(predicted, true))


def test_the_interval_is_the_exact_binomial_one():
    low, high = read_as(["b", "a"], ["a", "a"]).interval
    assert (low, high) == pytest.approx((0.0126, 0.9874), abs=1e-4)  # 1 of 2, from a table
    low, high = binomial_interval(3, 1250)
    assert (low, high) == pytest.approx((0.000495, 0.007), abs=1e-5)
    assert binomial_interval(0, 10)[0] == 0.0 and binomial_interval(12, 10)[1] == 1.0


def history(test_loss, train_loss=None):
    """A history with these losses, an epoch each of two steps; the train loss is half the test loss unless it is given."""
    train = [loss / 2 for loss in test_loss] if train_loss is None else train_loss
    steps = [step for mean in train for step in (0.5 * mean, 1.5 * mean)]
    return History(steps, test_loss, [2] * len(test_loss), [1.0] * len(test_loss))


CALM = [0.36, 0.34, 0.31, 0.35, 0.33, 0.343]


def test_a_history_knows_the_mean_train_loss_of_each_finished_epoch():
    run = history([0.4, 0.2], [0.3, 0.1])
    run.train_loss.append(9.0)  # of an epoch that was stopped
    assert run.train_means == pytest.approx([0.3, 0.1])


def test_a_history_that_ends_on_a_spike_says_so():
    found = history([*CALM, 2.107], [0.02] * 7).spike
    assert "ended on a spike: test loss 2.107, median of the five epochs before 0.340" in found
    assert "A few epochs earlier the network probably read better: train a few epochs more." in found
    assert "mean training loss 0.600" in history([0.3] * 6, [0.02] * 5 + [0.6]).spike
    assert history([0.31, 0.33, 0.32, 0.31, 0.32, 0.42, 2.30, 1.14]).spike, "one that goes down, and is not over"
    assert history([0.3, 0.3, 2.5, 0.3, 2.2, 0.3, 2.4]).spike, "spikes among the five before hide none"


@pytest.mark.parametrize(
    "losses",
    [
        CALM,
        [3.4, 3.0, 2.1, 1.2, 0.6, 0.4, 0.3],
        [0.3, 0.3, 2.107, 0.3, 0.3, 0.3],
        [0.002] * 6 + [0.006],
        [0.4] * 6 + [0.55],
        [0.3] * 4 + [2.107],
        [],
    ],
    ids=["calm", "falling", "an earlier spike", "nearly zero", "not much above", "too few epochs", "no epoch"],
)
def test_a_history_without_a_spike_at_its_end_says_nothing(losses):
    assert history(losses).spike is None


def test_a_report_of_a_training_that_ended_on_a_spike_has_a_line_for_it():
    report = read_as(["ab", "cb"], ["ab", "cc"])
    after = report.after_training(history([*CALM, 2.107]))
    assert str(after) == f"{report}\n{after.history.spike}" and len(str(after).splitlines()) == 2
    assert str(report.after_training(history(CALM))) == str(report)


def test_prediction_is_in_evaluation_mode_and_leaves_the_mode_as_it_was():
    model, images = ToyCTC(), toy_captchas(5).images
    model.train()
    first, second = predict(model, images, batch_size=2), predict(model, images, batch_size=5)
    assert model.training
    assert torch.allclose(first, second, atol=1e-5)  # in training mode batch norm would depend on the batch
    assert first.shape == (6, 5, 4)


def test_a_layer_that_was_frozen_stays_frozen():
    model = ToyCTC()
    model.train()
    model.convolutions.eval()
    images = toy_captchas(5).images
    logits = predict(model, images)
    assert model.training and not model.convolutions[2].training
    model.eval()
    model.convolutions[2].train()  # batch norm alone
    assert torch.equal(predict(model, images), logits)
    assert model.convolutions[2].training and not model.training


def test_nan_logits_are_refused():
    model = ToyCTC()
    nn.init.constant_(model.head.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="ToyCTC gives NaN or infinity for 5 of 5 images.*last checkpoint"):
        evaluate(model, CTC(ALPHABET), toy_captchas(5))


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="no image"):
        evaluate(ToyCTC(), CTC(ALPHABET), toy_captchas(5).subset([]))


ABC = Alphabet("abc")


@pytest.fixture(params=[ToyCTC, ToyCE])
def model(request):
    torch.manual_seed(3)
    return TrainedModel(request.param().eval(), ABC, 24)


def objective(model):
    return (CTC if model.network.objective == "CTC" else CrossEntropy)(ABC)


def same(found, others):
    """Equal texts; the last bits of confidences depend on the size of the batch."""
    assert [text.text for text in found] == [text.text for text in others]
    return [text.confidence for text in found] == pytest.approx([text.confidence for text in others])


def test_captchas_and_tensors_are_read_as_they_are_evaluated(model):
    captchas = toy_captchas()
    found = read(captchas, model)
    assert [text.text for text in found] == objective(model).decode(predict(model.network, captchas.images))
    assert same(read(captchas.images, model, batch_size=5), found)
    right = sum(text.text == true for text, true in zip(found, captchas.texts))
    assert right / len(captchas) == pytest.approx(evaluate(model.network, objective(model), captchas).exact)


def test_files_pictures_and_mixtures_are_read_alike(model, tmp_path):
    captchas = toy_captchas(3)
    pictures = [Image.fromarray(image[0].numpy()) for image in captchas.images]
    paths = []
    for i, picture in enumerate(pictures):
        paths.append(tmp_path / f"{i}.png")
        picture.save(paths[-1])
    found = read(captchas, model)
    assert read(paths, model) == read(pictures, model) == read([paths[0], pictures[1], str(paths[2])], model) == found
    for alone in (paths[1], str(paths[1]), pictures[1]):
        assert same(read(alone, model), found[1:2])
    assert read([], model) == [] and len(read(iter(paths), model)) == 3


def test_pictures_are_brought_to_the_size_the_network_knows(model):
    picture = Image.fromarray(toy_captchas(1).images[0, 0].numpy()).resize((240, 320))
    (found,) = read(picture.convert("RGBA"), model)
    assert 0 <= found.confidence <= 1


def test_a_confidence_is_the_probability_of_the_text():
    torch.manual_seed(3)
    captchas = toy_captchas()
    for kind in (ToyCTC, ToyCE):
        model = TrainedModel(kind().eval(), ABC, 24)
        found, logits = read(captchas, model), predict(model.network, captchas.images)
        if kind is ToyCTC:
            expected = CTC(ABC).confidence(logits, [text.text for text in found]).tolist()
        else:
            expected = [float(row.double().softmax(1).amax(1).prod()) for row in logits.transpose(0, 1)]
        assert [text.confidence for text in found] == pytest.approx(expected)
    assert str(found[0]) == f"{found[0].text} ({found[0].confidence:.1%})"


def test_what_is_no_image_is_named(model, tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(BadImage, match="empty"):
        read(tmp_path / "empty.png", model)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read("nowhere.png", model)
    for wrong, name in ((3, "int"), ([3], "int"), (None, "NoneType")):
        with pytest.raises(ValueError, match=f"an array was expected for the image, got {name}"):
            read(wrong, model)
    with pytest.raises(ValueError, match=r"\(N, 1, 32, 24\), got torch.uint8 \(2, 1, 32, 30\)"):
        read(torch.zeros(2, 1, 32, 30, dtype=torch.uint8), model)
    with pytest.raises(ValueError, match="4 x 4 pixels"):
        read(Image.new("L", (4, 4)), model)


@pytest.mark.parametrize("wrong, name", [(ToyCTC(), "ToyCTC"), (ToyCTC, "type"), ("model.pt", "str"), (None, "NoneType")])
def test_reading_with_a_bare_network_says_what_to_give(wrong, name):
    with pytest.raises(ValueError, match=rf"alphabet and width was expected, got {name}. Give what load_model returns, or Tr"):
        read(toy_captchas(2), wrong)


def test_what_is_read_can_be_limited_to_symbols_a_pattern_or_words(model):
    captchas = toy_captchas(20)
    assert {symbol for text, _ in read(captchas, model, allowed="ab") for symbol in text} <= {*"ab"}
    for options, accepts in (
        ({"pattern": "a[bc]"}, lambda text: text in ("ab", "ac")),
        ({"words": ["ba", "c"]}, lambda text: text in ("ba", "c")),
        ({"words": iter(["ba", "cc"]), "allowed": "c"}, lambda text: text == "cc"),
        ({"pattern": ".c|bb", "allowed": "bc"}, lambda text: text in ("bc", "cc", "bb")),
    ):
        found = read(captchas, model, batch_size=7, **options)
        assert len(found) == 20 and all(accepts(text) for text, _ in found)
        assert all(0 < confidence <= 1 for _, confidence in found)


def test_confidences_are_given_that_a_text_is_allowed(model):
    captchas = toy_captchas(6)
    words = ["ab", "bb", "ca"]
    each = [read(captchas, model, words=[word], details=True) for word in words]  # alone, a word is sure: its share counts
    assert [reading.confidence for reading in each[0]] == pytest.approx([1.0] * 6)
    if model.network.objective == "CTC":
        for n, (text, confidence) in enumerate(read(captchas, model, words=words)):
            shares = {word: found[n].share for word, found in zip(words, each)}
            assert text == max(shares, key=shares.get)
            assert confidence == pytest.approx(shares[text] / sum(shares.values()))
    assert same(read(captchas, model, allowed="abc"), read(captchas, model))


def test_wrong_limits_are_refused_before_any_image_is_read(model):
    with pytest.raises(ValueError, match="allowed holds 'X', which this network can't read"):
        read("nowhere.png", model, allowed="aX")
    with pytest.raises(ValueError, match="lookahead"):
        read("nowhere.png", model, pattern="a(?=b)")


def test_evaluation_can_be_limited_too(model):
    captchas = toy_captchas(20)
    words = sorted({*captchas.texts})
    free, limited = (evaluate(model.network, reader, captchas, batch_size=8) for reader in
                     (objective(model), Constrained(objective(model), words=words)))  # fmt: skip
    assert {text for text, _ in limited.misread} <= {*words} and limited.images == free.images == 20


READS_MANY = """
import resource, sys
import torch
from ocrlib import CTC, Alphabet, Captchas, TrainedModel, evaluate, read
from ocrlib.networks import Network

class Wide(Network):
    objective = "CTC"
    def stack(self):
        return [torch.nn.AvgPool2d((32, 4))]
    def __init__(self, classes):
        super().__init__()
        self.head = torch.nn.Linear(1, classes)
    def read(self, columns):
        return self.head(columns)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

number, classes = map(int, sys.argv[1:])
alphabet = Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + classes - 1))))
images = torch.zeros(number, 1, 32, 96, dtype=torch.uint8)
captchas = Captchas(images, [alphabet.symbols[0]] * number, [f"{i}.png" for i in range(number)], "synthetic", "nothing")
model = TrainedModel(Wide(classes).eval(), alphabet, 96)
read(images[:32], model, batch_size=16)
before = peak()
read(images, model, batch_size=16)
evaluate(model.network, CTC(alphabet), captchas, batch_size=16)
print(peak() - before, peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of memory is in other units")
def test_logits_of_many_images_and_classes_are_not_kept():
    """160 images of 24 steps and 6,764 classes have 104 MB of logits."""
    run = subprocess.run([sys.executable, "-c", READS_MANY, "160", "6764"], check=True, capture_output=True, text=True)
    assert float(run.stdout.split()[0]) < 200  # MB; at most 80 as it is, and 500 where they are kept


def test_a_centred_mean_lies_on_its_values_and_takes_what_is_there_at_the_ends():
    assert centred_mean([3.0, 0.0, 6.0, 9.0], 3).tolist() == [1.5, 3.0, 5.0, 7.5]
    assert centred_mean([3.0, 0.0], 5).tolist() == [1.5, 1.5]  # fewer values than the window
    assert centred_mean([3.0, 1.0], 1).tolist() == [3.0, 1.0]
    for window in (0, 4, -1):
        with pytest.raises(ValueError, match="odd number"):
            centred_mean([1.0, 2.0], window)


# -- kinds of fault known from elsewhere


@pytest.mark.parametrize("weight, value", [("rnn.weight_hh_l0", math.nan), ("head.bias", math.inf), ("head.bias", -math.inf)])
@pytest.mark.parametrize("door", ["evaluate", "read", "predict"])
def test_a_network_of_nan_is_one_and_the_same_error(door, weight, value):
    network, captchas = ToyCTC(), toy_captchas(5)
    torch.nn.init.constant_(network.get_parameter(weight), value)
    model = TrainedModel(network.eval(), ALPHABET, 24)
    doors = {
        "evaluate": lambda: evaluate(network, CTC(ALPHABET), captchas),
        "read": lambda: read(captchas, model),
        "predict": lambda: predict(network, captchas.images),
    }
    with pytest.raises(FloatingPointError, match="ToyCTC gives NaN or infinity for 5 of 5 images: its weights have diverged"):
        doors[door]()


def test_an_empty_true_text_counts_its_edits():
    captchas = toy_captchas(3)
    captchas.texts = ["", "ab", ""]
    report = score(["xyz", "ab", ""], captchas)
    assert (report.edits, report.characters, report.cer, report.exact) == (3, 2, 1.5, 1 - 1 / 3)
    assert report.misread == [["xyz", ""]] and math.isnan(report.mistakes[0].cer)
    captchas.texts = ["", "", ""]
    with pytest.raises(ValueError, match="no character error rate: all 3 texts are empty"):
        score(["", "a", ""], captchas)


def test_an_alphabet_of_another_size_is_refused_when_reading_and_evaluating():
    network, captchas = ToyCTC(classes=37).eval(), toy_captchas(3)
    for symbols in ("abc", "0123456789abcdefghijklmnopqrstuvwxyzABC"):
        words = f"has 37 classes, but this alphabet of {len(symbols)} symbols and the blank needs {len(symbols) + 1}"
        with pytest.raises(ValueError, match=words):
            read(captchas, TrainedModel(network, Alphabet(symbols), 24))
        for limit in ({"allowed": "ab"}, {"pattern": "[ab]+"}, {"words": ["ab"]}):
            with pytest.raises(ValueError, match=words):
                read(captchas, TrainedModel(network, Alphabet(symbols), 24), **limit)
        with pytest.raises(ValueError, match=words):
            evaluate(network, CTC(Alphabet(symbols)), captchas)


def test_a_reading_in_another_spelling_of_an_accent_is_no_mistake():
    captchas = Captchas(torch.zeros(1, 1, 32, 24, dtype=torch.uint8), ["caf\u00e9"], ["a.png"], "real", "one")
    assert score(["cafe\u0301"], captchas).edits == 0 and score(["cafe"], captchas).edits == 1
