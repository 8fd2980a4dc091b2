"""Reading in one call: whatever way images come in, the same texts with honest confidences come out."""

import pytest
import torch
from PIL import Image
from toys import ToyCE, ToyCTC, toy_captchas

from ocrlib import CTC, Alphabet, BadImage, CrossEntropy, TrainedModel, evaluate, read
from ocrlib.evaluation import predict
from ocrlib.objectives import confidences

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
            expected = confidences(logits, [text.text for text in found], ABC).tolist()
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
    with pytest.raises(ValueError, match="got int"):
        read([3], model)
    with pytest.raises(ValueError, match=r"\(N, 1, 32, 24\), got torch.uint8 \(2, 1, 32, 30\)"):
        read(torch.zeros(2, 1, 32, 30, dtype=torch.uint8), model)
    with pytest.raises(ValueError, match="4 x 4 pixels"):
        read(Image.new("L", (4, 4)), model)
