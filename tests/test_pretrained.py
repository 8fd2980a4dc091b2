"""The network that comes with the package is the recorded run's, small, and reads."""

from committed import ROOT

from ocrlib import EXPERIMENTS, evaluate, load_captchas, read, read_records
from ocrlib.checkpoints import FILE, load_model, load_pretrained
from ocrlib.objectives import CTC
from ocrlib.studies.pretraining import pretrain, trained_file, weights_digest
from ocrlib.synthetic.generated import draw_captchas, draw_texts


def test_its_weights_are_those_of_the_recorded_run():
    [record] = read_records(ROOT / "notebooks" / "records" / "00_pretrained.jsonl")
    assert record.budget == "full"
    assert weights_digest(load_pretrained().network) == record.figures["weights"]


def test_it_is_small_and_reads_generated_images():
    model = load_pretrained()
    assert FILE.stat().st_size < 1_000_000 and model.width == EXPERIMENTS["fast"].width
    captchas = draw_captchas(draw_texts(200, seed=99), 99, model.width)
    found = read(captchas, model)
    right = [text.text == true for text, true in zip(found, captchas.texts)]
    assert sum(right) >= 194
    wrong = [text.confidence for text, ok in zip(found, right) if not ok]
    assert sum(text.confidence for text in found) / len(found) > 0.95 and all(confidence < 1 for confidence in wrong)


def test_it_reads_the_real_images_it_never_saw(real_folder):
    model = load_pretrained()
    report = evaluate(model.network, CTC(model.alphabet), load_captchas(real_folder, width=model.width))
    assert report.cer <= 0.005


def test_the_training_leaves_what_it_says(monkeypatch, tmp_path):
    monkeypatch.setenv("OCRLIB_BUDGET", "smoke")
    monkeypatch.setenv("OCRLIB_RUNS", str(tmp_path))
    figures = pretrain()
    assert figures["weights"] == weights_digest(load_model(trained_file()).network)
    assert figures["generated"] == 4 * 64 and figures == pretrain()
