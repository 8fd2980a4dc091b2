"""CTC's widgets: what is drawn for each control, what is said of a path, and how bad input is explained."""

import pytest
import torch
from matplotlib.patches import Rectangle

pytest.importorskip("ipywidgets", reason="needs ipywidgets: pip install ipywidgets")

from ocrlib import Alphabet
from ocrlib.ctc.alignments import list_paths
from ocrlib.ctc.plots import spell
from ocrlib.demo.ctc import alignment_game, draw_lattice, explore_lattice, plot_guess, read_guess, steady_log_probs

AB = Alphabet("ab")
# Three steps. The paths of "ab": aab 0.14, abb and a-b 0.105, ab- 0.063, -ab 0.04; 0.453 together.
LOG_PROBS = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.4, 0.3], [0.3, 0.2, 0.5]], dtype=torch.float64).log()


def test_the_blank_has_its_probability_and_the_symbols_share_the_rest():
    torch.testing.assert_close(steady_log_probs(AB, 2, 0.5).exp(), torch.tensor([[0.5, 0.25, 0.25]] * 2, dtype=torch.float64))


@pytest.mark.parametrize("view, words", [("alpha", "with alpha"), ("beta", "with beta"), ("posterior", "with posterior")])
def test_the_lattice_is_drawn_up_to_a_column(view, words):
    assert draw_lattice("ab", 4, 0.2, view, 9, AB).alt == f"lattice of 4 steps for ab, {words}"


def test_the_gradient_is_drawn_by_class():
    figure = draw_lattice("ab", 4, 0.2, "gradient", 0, AB)
    titles = [ax.get_title(loc="left") for ax in figure.axes[:3]]
    assert titles == ["softmax", "soft alignment with ab", "gradient: the difference"]


@pytest.mark.parametrize("text, reason", [("ax", "5 of these symbols: ab"), ("ababab", "at most 5"), ("aa", "aa needs 3 time")])
def test_a_text_that_has_no_lattice_is_explained(text, reason):
    with pytest.raises(ValueError, match=reason):
        draw_lattice(text, 2, 0.2, "alpha", 0, AB)


def test_the_controls_of_the_lattice_change_it():
    first, second, output = explore_lattice("ab", 3, AB).children
    (box, length, blank), (view, column) = first.children, second.children
    seen = [bytes(output.children[0].value)]
    for control, value in [(column, 1), (blank, 0.6), (length, 5), (view, "beta"), (view, "gradient"), (box, "bb")]:
        control.value = value
        seen.append(bytes(output.children[0].value))
    assert len(set(seen)) == len(seen) and seen[0].startswith(b"\x89PNG")
    box.value = "ac"
    (words,) = output.children
    assert "these symbols: ab" in words.value
    box.value = "ab"
    assert len(output.children) == 2


def test_a_path_is_read_and_compared_with_the_text():
    words = "-ab reads ab; its probability is 0.04, 8.8% of that of the text. 4 of the 5 paths are likelier."
    assert read_guess("-ab", "ab", LOG_PROBS, AB) == words
    assert read_guess("aaa", "ab", LOG_PROBS, AB) == "aaa reads a; its probability is 0.056. That is not ab: try another path."
    assert "reads (nothing)" in read_guess("---", "ab", LOG_PROBS, AB)


def test_exactly_the_likeliest_path_is_found():
    paths = [spell(path, AB) for path in list_paths([1, 2], 3)]
    assert [path for path in paths if "Found" in read_guess(path, "ab", LOG_PROBS, AB)] == ["aab"]


@pytest.mark.parametrize("path", ["ab", "abba", "abc", ""])
def test_what_is_no_path_is_explained(path):
    with pytest.raises(ValueError, match="A path has 3 symbols, each one of ab or the blank -"):
        read_guess(path, "ab", LOG_PROBS, AB)


def test_the_path_is_framed():
    figure = plot_guess("-ab", "ab", LOG_PROBS, AB)
    frames = [part for part in figure.axes[0].patches if isinstance(part, Rectangle) and not part.get_fill()]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [labels[int(frame.get_y() + 0.5)] for frame in frames] == list("-ab") and "4 of the 5" in figure.alt


def test_the_game_says_when_the_path_is_found():
    box, output = alignment_game(LOG_PROBS, "ab", AB, "-ab").children
    assert "4 of the 5 paths are likelier" in output.children[1].value
    box.value = "abc"
    assert "A path has 3 symbols" in output.children[0].value
    box.value = " aab "
    assert "Found" in output.children[1].value
