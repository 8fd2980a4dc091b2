"""Images padded to one width (``fit="pad"``): for CTC the padding is not there, in training, evaluation and reading."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Subset
from toys import ToyCE, ToyCTC, toy_captchas

from ocrlib import CTC, Alphabet, Captchas, CrossEntropy, TrainedModel, evaluate, fit, load_model, read, save_model
from ocrlib.ctc.constraints import Constrained
from ocrlib.data.own_images import check_up
from ocrlib.evaluation import as_tensor, predict
from ocrlib.networks import CRNN, ColumnCNN, Network, input_lengths
from ocrlib.studies.heads import ColumnCTC

ABC = Alphabet("abc")


class GreyReader(Network):
    """Reads the brightest grey of every four columns: below 40 nothing, then "a", "b" and, from 120 up, "c"."""

    objective = "CTC"

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(0))  # where it lies

    def stack(self) -> list[nn.Module]:
        return [nn.MaxPool2d((32, 4))]

    def read(self, columns: torch.Tensor) -> torch.Tensor:
        index = (columns / 40).long().clamp(max=3).squeeze(2)
        return 9.0 * F.one_hot(index, 4).float()


def padded() -> Captchas:
    """Two pictures of 8 and 16 of 24 columns; what lies behind looks like a "c"."""
    images = torch.full((2, 1, 32, 24), 200, dtype=torch.uint8)
    images[0, ..., :8], images[1, ..., :16] = 50, 90
    return Captchas(images, ["a", "b"], ["a.png", "b.png"], "real", "two", torch.tensor([8, 16]))


def test_steps_in_the_padding_are_not_decoded():
    captchas, model = padded(), TrainedModel(GreyReader(), ABC, 24)
    assert [text.text for text in read(captchas.images, model)] == ["ac", "bc"]  # a tensor says nothing of padding
    assert [text.text for text in read(captchas, model)] == ["a", "b"]
    assert [text.text for text in read(captchas, model, pattern="[ab]c?")] == ["a", "b"]
    details = read(captchas, model, details=True)
    assert [symbol.right <= shown for text, shown in zip(details, (8, 16)) for symbol in text.symbols] == [True, True]
    assert evaluate(model.network, CTC(ABC), captchas).edits == 0
    assert evaluate(model.network, Constrained(CTC(ABC), "abc"), captchas, batch_size=1).edits == 0
    short = read(Captchas(captchas.images[..., :8], ["a", "b"], ["a", "b"], "real", "two"), TrainedModel(GreyReader(), ABC, 8))
    assert read(captchas, model)[0].confidence == pytest.approx(short[0].confidence, rel=1e-12)


def test_wrong_options_are_refused_for_captchas_too():
    with pytest.raises(ValueError, match="polarity='dark'"):
        read(padded(), TrainedModel(GreyReader(), ABC, 24), polarity="dark")
    with pytest.raises(TypeError, match="polarty"):
        read(padded(), TrainedModel(GreyReader(), ABC, 24), polarty="auto")


def test_a_subset_is_evaluated_and_read_with_its_widths():
    part, network = Subset(padded(), [1]), GreyReader()
    report = evaluate(network, CTC(ABC), part)
    assert (report.images, report.edits) == (1, 0) and read(part, TrainedModel(network, ABC, 24))[0].text == "b"


def test_a_model_remembers_that_its_images_were_padded(tmp_path):
    picture = Image.fromarray(np.full((32, 8), 50, np.uint8))
    stretched = TrainedModel(GreyReader(), ABC, 24)
    assert stretched.fit == "stretch" and read(picture, stretched, fit="pad")[0].text == "a"
    save_model(tmp_path / "m.pt", ColumnCNN(classes=4), ABC, 96, fit="pad")
    found = load_model(tmp_path / "m.pt")
    assert found.fit == found.with_alphabet("abcd").fit == "pad" and len(list(found)) == 3
    assert read(picture, found) == read(picture, found, fit="pad") == read(as_padded := padded_to(picture, 96), found)
    assert read(as_padded.images, found) != read(as_padded, found)


def padded_to(picture: Image.Image, width: int) -> Captchas:
    return Captchas(as_tensor(picture, width, fit="pad"), ["a"], ["a.png"], "real", "one", torch.tensor([8]))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_the_true_input_lengths(seed):
    torch.manual_seed(seed)
    model, widths = ToyCTC().eval(), torch.tensor([24, 16, 9])
    logits = torch.randn(6, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths = input_lengths(model, widths, 24, 6)
    assert lengths.tolist() == [6, 4, 2]
    targets, target_lengths = ABC.encode_batch(["ab", "cc", "b"])
    ours = CTC(ABC).loss(CTC(ABC).without_padding(logits, model, widths, 24), targets, target_lengths)
    (ours_gradient,) = torch.autograd.grad(ours, logits)
    theirs = F.ctc_loss(logits.float().log_softmax(2), targets, lengths.tolist(), target_lengths.tolist())
    (theirs_gradient,) = torch.autograd.grad(theirs, logits)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert torch.allclose(ours_gradient, theirs_gradient, atol=1e-6) and not ours_gradient[4:, 1].any()


def test_training_and_its_test_loss_know_the_true_widths():
    train, test = toy_captchas(4, width=24), toy_captchas(6, seed=1, width=24)
    train.widths, test.widths = torch.full((4,), 16), torch.tensor([24, 12, 16, 20, 24, 14])
    torch.manual_seed(0)
    model = ToyCTC()
    history = fit(model, CTC(ABC), train, test, torch.optim.SGD(model.parameters(), 0.0), epochs=1, batch_size=4, live=False)
    targets, lengths = ABC.encode_batch(test.texts)
    steps = input_lengths(model, test.widths, 24, 6).tolist()
    expected = F.ctc_loss(predict(model, test.images).log_softmax(2), targets, steps, lengths.tolist())
    assert history.test_loss == [pytest.approx(expected.item(), rel=1e-5)]


def test_a_text_too_long_for_the_true_width_is_refused_before_training():
    short = toy_captchas(120, width=24)
    short.texts[7], short.widths = "aa", torch.full((120,), 24)
    short.widths[7] = 8
    words = "= 3 steps for 'aa', but ToyCTC has 2 at width 8"
    model = ToyCTC()
    with pytest.raises(ValueError, match=words):
        fit(model, CTC(ABC), short, short, torch.optim.SGD(model.parameters(), 0.1), epochs=1, batch_size=4, live=False)
    assert any(words in line for line in check_up(short, ToyCTC))


def test_cross_entropy_reads_the_whole_width():
    logits = torch.randn(2, 3, 4)
    assert CrossEntropy(ABC).without_padding(logits, ToyCE(), torch.tensor([4, 8, 24]), 24) is logits


def test_without_padding_nothing_is_touched():
    logits = torch.randn(6, 3, 4)
    assert CTC(ABC).without_padding(logits, ToyCTC(), torch.full((3,), 24), 24) is logits


@pytest.mark.parametrize("network, width, expected", [
    (ColumnCNN(4), 128, [1, 13, 32]), (CRNN(4), 128, [1, 11, 31]), (ColumnCTC(4, 15), 128, [1, 6, 15]),
    (nn.Identity(), 128, [1, 13, 32]),
])  # fmt: skip
def test_true_input_lengths(network, width, expected):
    steps = network.steps(width) if isinstance(network, Network) else 32
    assert input_lengths(network, torch.tensor([1, 50, 128]), width, steps).tolist() == expected
