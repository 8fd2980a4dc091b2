"""What the figures show: the data in their lines, bars, images and captions."""

import subprocess
import sys
import time
from io import BytesIO
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image

from ocrlib import Captchas
from ocrlib import plots as live
from ocrlib.evaluation import History, score
from ocrlib.plots import (
    BLACK,
    RED,
    Figure,
    LivePlot,
    LossFigure,
    in_ipython,
    plot_images,
    plot_losses,
    plot_mistakes,
    plot_samples,
)
from ocrlib.studies.exploration import plot_ink, plot_min_steps, plot_network_view, plot_symbol_frequencies
from ocrlib.synthetic import fonts as fonts_of


class FakeCaptchas(SimpleNamespace):
    def __len__(self):
        return len(self.texts)


def captchas(texts, width=40, height=16, source="synthetic"):
    grey = torch.arange(len(texts), dtype=torch.uint8).view(-1, 1, 1, 1) * 10  # image i is all 10 i
    return FakeCaptchas(images=grey.expand(-1, 1, height, width).clone(), texts=list(texts), source=source)


def mistake(predicted, true, cer):
    return SimpleNamespace(image=torch.zeros(1, 32, 80, dtype=torch.uint8), predicted=predicted, true=true, cer=cer)


def words(ax, color=None):
    return [text.get_text() for text in ax.texts if color in (None, text.get_color())]


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def title(figure):
    return figure.get_suptitle()


def history(steps, epochs, losses=None):
    train = list(np.linspace(5, 1, steps * epochs)) if losses is None else losses
    return History(train, list(np.linspace(3, 1, epochs)), [steps] * epochs, [1.0] * epochs)


def test_losses_are_titled_labelled_and_end_on_the_last_value():
    run = history(10, 4)
    figure = plot_losses(run, "CTC loss")
    left, right = figure.axes
    assert "CTC loss" in left.get_title() and "CTC loss" in right.get_title()
    assert "step" in left.get_xlabel() and "epoch" in right.get_xlabel() and "nats" in left.get_ylabel()
    assert [key.get_text() for key in figure.keys] == ["each step: 1", "mean of 11 steps: 1.51", "test: 1"]
    assert list(right.lines[0].get_ydata()) == run.test_loss and list(right.lines[0].get_xdata()) == [1, 2, 3, 4]
    assert list(left.lines[0].get_ydata()) == run.train_loss
    assert list(left.lines[1].get_xdata()) == list(range(1, 41))
    assert left.lines[1].get_ydata()[14] == pytest.approx(np.mean(run.train_loss[9:20]))  # of steps 10 to 20 at step 15
    assert left.lines[1].get_ydata()[-1] == pytest.approx(np.mean(run.train_loss[-6:]))  # and of what there is at the end


def test_later_losses_have_their_own_scale():
    run = history(10, 4, losses=[30.0] * 20 + [0.2] * 20)
    run.test_loss[:] = [30, 20, 0.3, 0.2]
    left, right = plot_losses(run, "CTC loss", from_epoch=2).axes
    assert left.get_xlim() == (20.5, 40.5) and right.get_xlim()[0] == 2.5
    assert left.get_ylim()[1] < 1 and right.get_ylim()[1] < 1
    assert list(right.lines[0].get_xdata()) == [3, 4]


def test_the_first_steps_do_not_press_the_rest_flat():
    left, _ = plot_losses(history(10, 10, losses=[30.0] + [2.0] * 99), "CTC loss").axes
    assert left.get_ylim()[1] == pytest.approx(1.5 * (30 + 10 * 2) / 11)  # the first full mean, not the first loss


def test_losses_that_are_no_numbers_are_left_out_of_the_scale():
    left, _ = plot_losses(history(3, 2, losses=[2.0, 2.0, 2.0, float("inf"), float("nan"), 2.0]), "CTC loss").axes
    assert left.get_ylim() == (0, 3.0)


def test_samples_are_spread_over_the_set():
    data = captchas([f"text{i}" for i in range(25)], source="real")
    figure = plot_samples(data, n=4, columns=2)
    [ax] = figure.axes
    assert words(ax) == ["text0", "text8", "text16", "text24"]
    assert [int(image.get_array()[0, 0]) for image in ax.images] == [0, 80, 160, 240]
    assert title(figure) == "4 of 25 images (real), each with its text"
    assert title(plot_samples(captchas(["a", "b"], source="own"))) == "2 of 2 images, each with its text"
    assert len(plot_samples(captchas(["a", "b"]), n=12).axes[0].images) == 2


def test_each_image_has_its_caption():
    data = captchas("abcd")
    [ax] = plot_images(data.images, "four images", ["one", "two", "three", "four"]).axes
    assert words(ax) == ["one", "two", "three", "four"] and len(ax.images) == 4
    assert ax.texts[3].get_position()[0] == 0 and np.floor(ax.texts[3].get_position()[1]) == 1, "the fourth begins a row"
    assert words(plot_images(data.images, "four images").axes[0]) == []
    with pytest.raises(ValueError, match="1 captions for 4 images"):
        plot_images(data.images, "four images", ["one"])


def test_each_mistake_has_its_texts_its_cer_and_marks_on_the_wrong_symbols():
    report = SimpleNamespace(
        mistakes=[mistake("cd5f", "cd5ff", 0.2), mistake("", "ab", 1.0), mistake("xay", "ab", 1.0)], images=50
    )
    figure = plot_mistakes(report)
    ax = figure.axes[0]
    assert "3 misread of 50" in title(figure) and len(ax.images) == 3
    right, red = words(ax, BLACK), words(ax, RED)
    assert right == ["cd5f/cd5 f  CER 0.20", "/    CER 1.00", " a /a   CER 1.00"]
    # Symbols and the lines under them, in the places that the right symbols leave free.
    assert red[0::2] == ["        f ", " ab", "x y  b"] and red[1::2] == ["        _ ", " __", "_ _  _"]


def test_a_flawless_report_says_so():
    figure = plot_mistakes(SimpleNamespace(mistakes=[], images=1250))
    assert "all 1,250 images were read correctly" in figure.texts[0].get_text()


def test_too_many_mistakes_are_cut_and_the_title_admits_it():
    figure = plot_mistakes(SimpleNamespace(mistakes=[mistake("a", "b", 1.0)] * 12, images=20), limit=10)
    assert len(figure.axes[0].images) == 10 and "first 10 of 12 misread of 20" in title(figure)


def test_symbol_shares_and_what_is_expected():
    [ax] = plot_symbol_frequencies(["aab", "abb", "aaaa"], slots="aabc").axes
    assert heights(ax) == pytest.approx([70, 30, 0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]
    assert list(ax.lines[0].get_ydata()) == pytest.approx([50, 25, 25])
    assert "4 equally likely slots" in ax.get_legend().get_texts()[0].get_text()
    assert "10 symbols in 3 texts" in ax.get_title() and "percent" in ax.get_ylabel()
    assert plot_symbol_frequencies(["ab"]).axes[0].get_legend() is None


def test_time_steps_that_texts_need():
    [ax] = plot_min_steps(["abcde", "cd5ff", "abb", "fffff", "edcba"]).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4", "5", "6", "9"]
    assert heights(ax) == [1, 2, 1, 1] and words(ax) == ["1", "2", "1", "1"]
    assert "5 texts" in ax.get_title() and ax.get_xlabel() == "time steps needed"


def test_network_view_has_one_scale_and_marks_the_steps():
    views = {"as published": captchas("ab", 200, 50), "CRNN": captchas("ab", 80, 32)}
    [ax] = plot_network_view(views, {"CRNN": [3.5, 7.5]}).axes
    assert words(ax) == ["as published: 200 x 50 pixels", "CRNN: 80 x 32 pixels, 2 steps"]
    assert [image.get_extent() for image in ax.images] == [[0, 200, 64, 14], [0, 80, 110, 78]]
    assert int(ax.images[0].get_array()[0, 0]) == 0
    assert list(ax.lines[1].get_xdata()) == [4, 8]  # the middle of pixel 3 is 3.5 from the edge


def test_ink_is_dark_where_the_ink_is():
    data = captchas("ab", width=6, height=4)
    data.images[:] = 255
    data.images[:, :, 1, 2] = 0  # one black pixel in every image
    data.images[0, :, 3, 5] = 0  # and one in half of them
    figure = plot_ink(data)
    shown = next(ax for ax in figure.axes if ax.images).images[0].get_array()
    assert shown[1, 2] == 255 and shown[3, 5] == 127.5 and shown.sum() == 382.5
    assert any("2 images (synthetic)" in ax.get_title() for ax in figure.axes)


def test_figures_are_white_with_dark_words_whatever_the_reader_has_set():
    with matplotlib.rc_context({"text.color": "white", "axes.labelcolor": "white", "figure.facecolor": "black"}):
        figure = plot_min_steps(["aab"])
        data, _ = figure.bundle()
    ax = figure.axes[0]
    assert figure.get_facecolor() == (1, 1, 1, 1) and {ax.yaxis.label.get_color(), ax.texts[0].get_color()} == {"#000000"}
    assert Image.open(BytesIO(data["image/png"])).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_every_figure_is_unknown_to_pyplot_says_what_it_shows_and_is_small():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    data = captchas(["aab", "abc"], 200, 50)
    report = SimpleNamespace(mistakes=[mistake("a", "b", 1.0)], images=2)
    figures = [
        plot_losses(history(3, 2), "CTC loss"),
        plot_samples(data),
        plot_min_steps(data.texts),
        plot_mistakes(report),
        plot_ink(data),
        plot_network_view({"a": data}),
        plot_symbol_frequencies(data.texts, "abc"),
    ]
    for figure in figures:
        assert isinstance(figure, matplotlib.figure.Figure) and isinstance(figure, Figure)
        content, metadata = figure.bundle()
        assert metadata["image/png"]["alt"] == figure.alt != "" and len(content["image/png"]) < 100_000
    assert pyplot.get_fignums() == []


def run_of(epochs, steps=4, extra=0):
    train = [1 / (i + 1) for i in range(epochs * steps + extra)]
    return History(train, [0.5 - 0.01 * epoch for epoch in range(epochs)], [steps] * epochs, [2.0] * epochs)


@pytest.fixture
def notebook(monkeypatch):
    """A clock that only the test and drawing move, and a display that only counts."""
    world = SimpleNamespace(now=100.0, cost=0.005, shown=[], updated=[])

    def display(data, *, metadata, raw, display_id):
        assert raw and display_id
        world.shown.append((data, metadata))

        def update(data, *, metadata, raw):
            world.now += world.cost
            world.updated.append(data)

        return SimpleNamespace(update=update)

    monkeypatch.setattr(live, "in_ipython", lambda: True)
    monkeypatch.setattr(live, "perf_counter", lambda: world.now)
    monkeypatch.setattr("IPython.display.display", display)
    return world


def drawn_lines(plot):
    figure = plot._figure
    return [list(zip(*line.get_data())) for line in (figure.raw, figure.mean, figure.test)]


def test_one_display_with_a_png_and_words(notebook):
    plot = LivePlot("CTC loss", "CRNN")
    plot.update(run_of(1), force=True)
    plot.close()
    [(data, metadata)] = notebook.shown
    with Image.open(BytesIO(data["image/png"])) as placeholder:
        assert placeholder.convert("RGBA").getpixel((0, 0))[3] == 0  # nothing to see before there is a loss
    assert set(data) == {"image/png", "text/plain"}
    assert data["text/plain"] == "<Figure: CRNN: CTC loss on the training and the test set>"
    assert "CTC loss" in metadata["image/png"]["alt"]
    with Image.open(BytesIO(notebook.updated[0]["image/png"])) as drawn:
        assert drawn.width > 600


def test_it_draws_at_most_once_a_second(notebook):
    plot = LivePlot("CTC loss")
    for step in range(100):  # ten seconds, a step each tenth
        notebook.now += 0.1 - 1e-9
        plot.update(run_of(0, extra=step + 1))
    assert 8 <= len(notebook.updated) <= 10


def test_slow_drawing_is_done_less_often(notebook):
    notebook.cost = 0.2
    plot = LivePlot("CTC loss")
    for step in range(1000):  # a hundred seconds
        notebook.now += 0.1
        plot.update(run_of(0, extra=step + 1))
    assert len(notebook.updated) == 10  # ten seconds after each: 100 times 0.2 s would be twenty


def test_slow_drawing_is_done_after_each_epoch(notebook):
    notebook.cost = 0.5
    plot = LivePlot("CTC loss")
    epochs = []
    for step in range(1, 101):  # a second a step, five steps an epoch
        notebook.now += 1
        before = len(notebook.updated)
        plot.update(run_of(step // 5, steps=5, extra=step % 5))
        if len(notebook.updated) > before:
            epochs.append(step / 5)
    assert epochs == [0.2, *range(1, 21)]


def test_short_epochs_are_drawn_once_a_second(notebook):
    plot = LivePlot("CTC loss")
    for epoch in range(1, 101):  # ten seconds, an epoch each tenth
        notebook.now += 0.1 - 1e-9
        plot.update(run_of(epoch))
    assert 8 <= len(notebook.updated) <= 10


def test_force_draws_at_once_and_close_draws_what_was_held_back(notebook):
    plot = LivePlot("CTC loss")
    plot.update(run_of(1), force=True)
    plot.update(run_of(1), force=True)  # nothing new
    assert len(notebook.updated) == 1
    plot.update(run_of(2))  # within the second: held back
    assert len(notebook.updated) == 1
    plot.close()
    assert len(notebook.updated) == 2
    plot.close()
    assert len(notebook.updated) == 2


def test_the_picture_holds_the_history_from_where_the_call_began(notebook):
    plot = LivePlot("CTC loss", from_epoch=2)
    run = run_of(3, extra=2)
    plot.update(run, force=True)
    each, _, test = drawn_lines(plot)
    assert each == [(step, run.train_loss[step - 1]) for step in range(9, 15)]
    assert test == [(3, run.test_loss[2])]


def test_nothing_reaches_pyplot(notebook):
    plot = LivePlot("CTC loss")
    plot.close()
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_outside_a_notebook_one_line_an_epoch(capsys):
    plot = LivePlot("CTC loss", "CRNN")
    for run in (run_of(0, extra=3), run_of(1), run_of(1, extra=1), run_of(3)):
        plot.update(run)
    plot.update(run_of(3), force=True)
    plot.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0] == "CRNN, epoch 1: CTC loss 0.5208 (train, mean of 4 steps), 0.5000 (test), 2.0 s"
    assert lines[2].startswith("CRNN, epoch 3: CTC loss 0.0963 ") and "0.4800 (test)" in lines[2]


def test_outside_a_notebook_earlier_epochs_are_not_repeated(capsys):
    plot = LivePlot("CTC loss", from_epoch=2)
    plot.update(run_of(3))
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 3"]


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    class TerminalInteractiveShell:
        pass

    class Kernel:
        pass

    for shell, expected in ((None, False), (TerminalInteractiveShell(), False), (Kernel(), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_ipython() is expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert in_ipython() is False


def test_importing_the_package_imports_no_matplotlib():
    code = "import sys, ocrlib, ocrlib.training; print([m for m in ('matplotlib', 'IPython', 'scipy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_in_a_real_kernel_the_stored_output_is_one_picture():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = """
from ocrlib.evaluation import History
from ocrlib.plots import LivePlot
plot, run = LivePlot("CTC loss"), History()
for epoch in range(3):
    run.train_loss += [1.0, 0.5]; run.test_loss.append(0.4); run.steps_per_epoch.append(2); run.seconds.append(0.1)
    plot.update(run, force=True)
plot.close()
"""
    cells = [
        nbformat.v4.new_code_cell(code),
        nbformat.v4.new_code_cell("from ocrlib.plots import plot_losses\nplot_losses(run, 'x')"),
    ]
    done = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    for cell in done.cells:
        [output] = cell.outputs
        assert output.output_type == "display_data" and set(output.data) == {"image/png", "text/plain"}
    assert done.cells[0].outputs[0].metadata["image/png"]["alt"] == "CTC loss on the training and the test set"


# -- kinds of fault known from elsewhere

TEXTS = ["$$", "$5$", r"\$a$b", "$x^2$", "a_b", "1,234"]


def drawn(figure):
    """The texts of a figure as they are drawn: none of them a formula."""
    figure.bundle()
    texts = [text for text in figure.findobj(Text) if text.get_text() and r"\mathdefault" not in text.get_text()]
    assert not any(text.get_parse_math() or text.get_usetex() for text in texts)
    return [text.get_text() for text in texts]


def test_dollars_stand_in_every_figure_as_they_are():
    images = captchas("abcdef").images
    data = Captchas(images, TEXTS, [f"{i}.png" for i in range(6)], "real", "$some$")
    report = score([text[1:] for text in TEXTS], data)
    assert any("5$/ 5$  CER 0.33" in text for text in drawn(plot_mistakes(report)))
    assert set(TEXTS) <= set(drawn(plot_samples(data)))
    assert set(TEXTS) <= set(drawn(plot_images(images, "$title$", TEXTS)))
    assert "$" in drawn(plot_symbol_frequencies(TEXTS)) and "$a$" in drawn(LossFigure("$loss$", "$a$"))
    figure = Figure(4.0, 3.0, "names on the axes")
    figure.subplots().set(xticks=[0, 1], xticklabels=["$5$", "$$"], ylabel="$y$", title="$t$")
    assert {"$5$", "$$", "$y$", "$t$"} <= set(drawn(figure))


def test_the_numbers_of_a_logarithmic_axis_are_still_set_as_powers():
    figure = Figure(4.0, 3.0, "a logarithmic axis")
    figure.subplots().loglog([1, 1000], [1, 1000])
    figure.bundle()
    assert any(text.get_parse_math() for text in figure.findobj(Text) if "mathdefault" in text.get_text())


@pytest.fixture
def fonts(monkeypatch):
    """As if this machine had DejaVu alone, and no warning had been given."""
    files = {name: path for name, path in fonts_of._files().items() if name in fonts_of.OURS}
    monkeypatch.setattr(fonts_of, "_files", lambda: files)
    monkeypatch.setattr(fonts_of, "_named", set())
    cached = (fonts_of.fallback_fonts, fonts_of._others, fonts_of.symbols_of)
    for function in cached:
        function.cache_clear()
    yield files
    for function in cached:
        function.cache_clear()


def test_a_script_that_no_font_has_is_named_once(fonts, recwarn):
    for _ in range(2):
        plot_images(captchas("ab").images, "two", ["日本語", "한"]).bundle()
    said = [str(warning.message) for warning in recwarn.list]
    assert len(said) == 2 and all("Install a font that has it" in line for line in said)
    assert "No font on this machine has CJK, such as 日本語" in said[1] or "has CJK, such as 日本語" in said[0]
    assert any("has Hangul" in line for line in said)


def test_hebrew_and_faces_are_drawn_with_dejavu_sans(fonts, recwarn):
    figure = plot_images(captchas("ab").images, "two", ["אבג", "😀"])
    figure.bundle()
    assert [text.get_fontfamily() for text in figure.axes[0].texts] == [[fonts_of.MONO, fonts_of.SANS]] * 2
    assert not recwarn.list and fonts_of.fallback_fonts("ab$ü") == ()


def test_a_font_of_this_machine_is_found(fonts, monkeypatch):
    monkeypatch.setitem(fonts, "Some CJK", "some.ttf")
    known = fonts_of.symbols_of
    monkeypatch.setattr(fonts_of, "symbols_of", lambda name: frozenset("日本") if name == "Some CJK" else known(name))
    assert fonts_of.fallback_fonts("本日") == ("Some CJK",)
    assert fonts_of.fallback_fonts("本א") == (fonts_of.SANS, "Some CJK")


def test_wrong_symbols_of_other_scripts_are_marked_in_their_places():
    ax = plot_mistakes(SimpleNamespace(mistakes=[mistake("日x", "日本", 0.5)], images=2)).axes[0]
    assert "".join(words(ax, BLACK)) == "日/日  CER 0.50" and [word for word in words(ax, RED) if word] == ["x", "_", "本", "__"]
    assert fonts_of.typed_width("日本a") == 5


def test_thousands_of_symbols_are_the_most_frequent_ones():
    texts = [chr(0x4E00 + i) * (1 + (i % 100 == 0)) for i in range(3000)] + ["AAA"]
    began = time.perf_counter()
    [ax] = plot_symbol_frequencies(texts).axes
    assert len(ax.patches) == 64 and "the 64 most frequent of 3,001 different ones" in ax.get_title()
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert {"A", *(chr(0x4E00 + i) for i in range(0, 3000, 100))} <= set(shown) and time.perf_counter() - began < 20
