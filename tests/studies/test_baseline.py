import pytest
import torch
from PIL import Image
from toys import ALPHABET, ToyCE, ToyCTC, toy_captchas

from ocrlib import CTC, CrossEntropy, fit, load_captchas, seed_everything
from ocrlib.studies.speed import PlainCaptchas, fit_plain, image_files

TRAIN, TEST = toy_captchas(12, seed=1), toy_captchas(6, seed=2)


@pytest.fixture
def plain(tmp_path):
    """TRAIN and TEST as files."""
    sets = []
    for name, captchas in {"train": TRAIN, "test": TEST}.items():
        (tmp_path / name).mkdir()
        sets.append(PlainCaptchas(captchas, image_files(captchas, tmp_path / name)))
    return sets


def make(network, objective):
    seed_everything(3)
    model = network()
    return model, objective(ALPHABET), torch.optim.SGD(model.parameters(), lr=0.5)


def test_saved_images_come_back_pixel_for_pixel(plain):
    for captchas, files in zip((TRAIN, TEST), plain):
        images, texts = zip(*[files[i] for i in range(len(files))])
        assert torch.equal(torch.stack(images), captchas.images.float())
        assert list(texts) == captchas.texts


def test_a_file_is_opened_again_for_each_item(plain):
    train, _ = plain
    before, _ = train[0]
    Image.new("RGBA", (24, 32), "white").save(train.files[0])
    after, _ = train[0]
    assert not torch.equal(before, after)
    assert torch.equal(after, torch.full((1, 32, 24), 255.0))


@pytest.mark.parametrize(("network", "objective"), [(ToyCTC, CTC), (ToyCE, CrossEntropy)])
@pytest.mark.parametrize(("batch_size", "clip_norm"), [(12, None), (5, 0.1)])
def test_the_losses_are_those_of_fit(plain, network, objective, batch_size, clip_norm):
    model, loss, optimizer = make(network, objective)
    fitted = fit(model, loss, TRAIN, TEST, optimizer, epochs=3, batch_size=batch_size, clip_norm=clip_norm, live=False)
    model, loss, optimizer = make(network, objective)
    history = fit_plain(model, loss, *plain, optimizer, epochs=3, batch_size=batch_size, clip_norm=clip_norm)
    assert history.train_loss == pytest.approx(fitted.train_loss, rel=1e-4)
    assert history.test_loss == pytest.approx(fitted.test_loss, rel=1e-4)
    assert history.train_loss[-1] < 0.95 * history.train_loss[0]  # it did learn, so the comparison saw steps
    assert history.steps_per_epoch == fitted.steps_per_epoch
    assert len(history.seconds) == 3


def test_images_are_shuffled_each_epoch(plain):
    seen = []
    train, test = plain
    model, loss, optimizer = make(ToyCTC, CTC)
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].mean((1, 2, 3))) if module.training else None)
    fit_plain(model, loss, train, test, optimizer, epochs=2, batch_size=12)
    first, second = seen
    assert torch.equal(first.sort().values, second.sort().values)
    assert not torch.equal(first, second)


@pytest.mark.filterwarnings("ignore")  # twelve images are not the published set
@pytest.mark.parametrize("named", [".", ".."])
def test_real_images_are_read_from_their_own_files(tmp_path, monkeypatch, captcha_folder, named):
    monkeypatch.setenv("OCRLIB_DATA", str((captcha_folder / named).resolve()))  # their folder, or the one around it
    files = image_files(load_captchas(height=50), tmp_path / "not made")
    assert {file.parent for file in files.values()} == {captcha_folder}
    captchas = load_captchas(width=80)
    plain = PlainCaptchas(captchas, files)
    assert torch.equal(torch.stack([plain[i][0] for i in range(len(plain))]), captchas.images.float())


@pytest.mark.filterwarnings("ignore")
def test_real_images_from_elsewhere_are_saved(tmp_path, captcha_folder):
    (tmp_path / "copies").mkdir()
    captchas = load_captchas(captcha_folder, height=50)  # by a path that nothing remembers
    files = image_files(captchas, tmp_path / "copies")
    assert sorted(files.values()) == sorted((tmp_path / "copies").iterdir())
    with Image.open(files[captchas.names[0]]) as image:
        assert (image.size, image.mode) == ((200, 50), "RGBA")
