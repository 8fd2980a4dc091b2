"""The figures of CTC: the shares, lines and words in them."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.patches import FancyArrowPatch

from ocrlib import Alphabet
from ocrlib.ctc.alignments import backward, count_paths, flow, forward, list_paths, posterior
from ocrlib.ctc.decoding import reliability
from ocrlib.ctc.plots import GREY, plot_classes, plot_lattice, plot_plateau, plot_reliability, plot_snapshots, spell
from ocrlib.plots import BLUE, RED

ABC = Alphabet("abc")
IMAGE = torch.full((1, 32, 24), 128, dtype=torch.uint8)
CENTRES = [2.0, 6.0, 10.0, 14.0, 18.0, 22.0]


def random_log_probs(steps=6, seed=0):
    return torch.randn(steps, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log_softmax(1)


def ticks(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def meshes(figure):
    """Each panel's values, not those of the colour bars."""
    return [mesh for ax in figure.axes for mesh in ax.collections if isinstance(mesh, QuadMesh) and ax.get_title(loc="left")]


def test_a_path_is_spelt_a_symbol_a_step():
    assert spell([0, 1, 1, 0, 3], ABC) == "-aa-c"


def lattice(figure):
    """Where the lattice has circles, [step, row], what stands in them, and its arrows as {(x, y, to x, to y): width}."""
    (ax,) = figure.axes
    (circles,) = [part for part in ax.collections if isinstance(part, PathCollection)]
    places = circles.get_offsets().astype(int).tolist()
    inside = [text for text in ax.texts if text.get_text() not in ("start", "end")]
    words = {tuple(map(int, text.get_position())): text.get_text() for text in inside}
    arrows = [part for part in ax.patches if isinstance(part, FancyArrowPatch)]
    return places, words, {tuple(np.ravel(arrow._posA_posB).tolist()): arrow.get_linewidth() for arrow in arrows}


def test_the_lattice_has_a_circle_for_each_place_and_an_arrow_for_each_move():
    log_probs = random_log_probs()
    figure = plot_lattice(log_probs, "abb", ABC)
    places, words, arrows = lattice(figure)
    at, moves = posterior(log_probs, [1, 2, 2]), flow(log_probs, [1, 2, 2])
    assert ticks(figure.axes[0]) == list("-a-b-b-")
    assert places == (at > 0).nonzero().tolist()
    likely = {place: word for place, word in words.items() if at[place] >= 0.095}
    assert likely and all(word == f"{at[place]:.2f}" for place, word in likely.items())
    inside = {ends: width for ends, width in arrows.items() if ends[0] >= 0 and ends[2] <= 5}
    assert len(inside) == int((moves > 0).sum()) and len(arrows) == len(inside) + 4, "two lead in, two lead out"
    t, start, _, end = map(int, max(inside, key=inside.get))
    assert moves[t, start, end] == moves.max()
    assert "lattice of 6 steps for abb" in figure.alt and "28 paths" in figure.axes[0].get_title(loc="left")


def test_alpha_is_filled_from_the_left_and_beta_from_the_right():
    log_probs = random_log_probs()
    alpha, beta = forward(log_probs, [1, 2, 2]).exp(), backward(log_probs, [1, 2, 2]).exp()
    places, words, arrows = lattice(plot_lattice(log_probs, "abb", ABC, "alpha", 2))
    assert places == (alpha[:3] > 0).nonzero().tolist() and max(end[2] for end in arrows) == 2
    assert float(words[0, 1]) == pytest.approx(float(alpha[0, 1]), abs=0.006)
    places, words, arrows = lattice(plot_lattice(log_probs, "abb", ABC, "beta", 4))
    assert places == [[t + 4, row] for t, row in (beta[4:] > 0).nonzero().tolist()] and min(end[0] for end in arrows) == 4
    assert words[5, 5] == words[5, 6] == "1.00"
    with pytest.raises(ValueError, match="show='gamma'"):
        plot_lattice(log_probs, "abb", ABC, "gamma")


def test_some_paths_are_drawn_over_the_lattice():
    figure = plot_lattice(random_log_probs(), "abb", ABC, paths=[(1, 1, 0, 2, 0, 2), (1, 2, 0, 0, 2, 0)])
    _, words, _ = lattice(figure)
    rows = [[round(y) for y in line.get_ydata()] for line in figure.axes[0].lines]
    assert rows == [[1, 1, 2, 3, 4, 5], [1, 3, 4, 4, 5, 6]]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["aa-b-b", "ab--b-"]
    assert words[0, 0] == "-" and words[0, 1] == "a"


def test_a_lattice_with_room_for_one_path_shows_one():
    assert count_paths("aa", 3) == len(list_paths([1, 1], 3)) == 1
    places, words, arrows = lattice(plot_lattice(random_log_probs(3), "aa", ABC))
    assert places == [[0, 1], [1, 2], [2, 3]] and set(words.values()) == {"1.00"}
    assert {(0, 1, 1, 2), (1, 2, 2, 3)} < set(arrows) and len(arrows) == 4
    with pytest.raises(ValueError, match="needs 3 steps"):
        plot_lattice(random_log_probs(2), "aa", ABC)


def test_classes_with_small_shares_are_left_out_and_the_blank_is_last():
    shares = torch.tensor([[0.5, 0.48, 0.01, 0.01], [0.2, 0.02, 0.01, 0.77]])
    figure = plot_classes({"softmax": shares, "other": shares * 0.5}, ABC, title="a title")
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == ["softmax", "other"]
    assert [ticks(ax) for ax in panels] == [["a", "c", "-"]] * 2
    np.testing.assert_allclose(np.asarray(meshes(figure)[0].get_array()).reshape(3, 2), [[0.48, 0.02], [0.01, 0.77], [0.5, 0.2]])
    assert figure.get_suptitle() == "a title" and panels[-1].get_xlabel() == "time step"
    assert figure.alt == "a title: softmax and other at each of 2 time steps"


def test_shares_below_zero_have_a_scale_of_their_own():
    figure = plot_classes({"up": torch.eye(4), "change": torch.eye(4) - 0.25}, ABC)
    up, change = meshes(figure)
    assert (up.norm.vmin, up.norm.vmax, change.norm.vmin, change.norm.vmax) == (0, 1, -1, 1)
    assert change.cmap(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)  # no change is white
    assert up.cmap(1.0) not in (change.cmap(0.0), change.cmap(1.0)), "a colour has one meaning"
    keys = [ax.get_title(loc="right") for ax in figure.axes if ax.get_title(loc="left")]
    assert keys == ["blue: probability", "green: too little; purple: too much"]


def test_the_rows_stand_in_the_order_of_the_text_so_that_its_path_is_a_staircase():
    said = torch.full((4, 4), 0.1)
    path = torch.nn.functional.one_hot(torch.tensor([3, 0, 1, 3]), 4).float()  # c-ac
    figure = plot_classes({"softmax": said, "soft alignment": path, "gradient": said - path}, ABC)
    assert [ticks(ax) for ax in figure.axes if ax.get_title(loc="left")] == [list("cab-")] * 3  # b is not in the text


def test_few_steps_are_shown_with_their_values():
    values = [text.get_text() for text in plot_classes({"a": torch.eye(4)}, ABC).axes[0].texts]
    assert values[:4] == ["0.00", "0.00", "0.00", "1.00"], "a, b, c, and the blank, which is certain at the first step"
    assert not plot_classes({"a": torch.full((13, 4), 0.25)}, ABC).axes[0].texts


def test_at_most_a_dozen_classes_are_shown():
    alphabet = Alphabet("abcdefghijklmnopqrst")
    figure = plot_classes({"all": torch.full((3, 21), 0.5)}, alphabet)
    shown = ticks(figure.axes[0])
    assert len(shown) == 12 and shown[-1] == "-"


def test_steps_stand_at_their_centres_under_the_image():
    figure = plot_classes({"softmax": random_log_probs().exp()}, ABC, IMAGE, CENTRES)
    above, panel = figure.axes[:2]
    assert len(above.images) == 1 and above.get_xlim() == panel.get_xlim()
    assert above.get_position().x0 == panel.get_position().x0 and above.get_position().x1 == panel.get_position().x1
    edges = np.unique(meshes(figure)[0].get_coordinates()[..., 0])
    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, np.add(CENTRES, 0.5))
    assert "pixels" in panel.get_xlabel()


def test_snapshots_show_the_blank_the_best_symbol_and_what_is_read():
    path = torch.tensor([1, 0, 2, 0, 0, 3])
    sure = 20 * torch.nn.functional.one_hot(path, 4).float()
    figure = plot_snapshots({0: torch.zeros(6, 4), 26: sure}, ABC, IMAGE, CENTRES)
    _, first, second = figure.axes
    words = [text.get_text() for text in second.texts]
    assert words[:3] == ["a", "b", "c"] and "abc" in words and "step 26" in words
    assert "(nothing)" in [text.get_text() for text in first.texts]
    bars = [bar.get_height() for bar in second.patches]
    np.testing.assert_allclose(bars, [1, 0, 1, 0, 0, 1], atol=1e-6)
    assert "pixels" in second.get_xlabel() and "0, 26 training steps" in figure.alt


def test_repeats_are_merged_only_if_asked():
    same = torch.nn.functional.one_hot(torch.tensor([1, 1, 0]), 4).float()
    for merge, reading in [(True, "a"), (False, "aa")]:
        figure = plot_snapshots({0: 9 * same}, ABC, IMAGE, CENTRES[:3], merge)
        words = [text.get_text() for text in figure.axes[1].texts if text.get_family() == ["DejaVu Sans Mono"]]
        assert words == [reading]


def test_long_readings_are_cut_short():
    logits = torch.nn.functional.one_hot(torch.tensor([1, 2] * 10), 4).float()
    figure = plot_snapshots({1: logits}, ABC, IMAGE, list(range(20)))
    assert "ababababa…" in [text.get_text() for text in figure.axes[1].texts]


def test_a_symbol_is_labelled_only_where_it_is_the_likeliest_class():
    logits = torch.tensor([[1.0, 0.9, 0.0, 0.0], [0.9, 1.0, 0.0, 0.0]])  # a blank, then `a`: each with a share above 0.3
    figure = plot_snapshots({6: logits}, ABC, IMAGE, CENTRES[:2])
    labels = [text for text in figure.axes[1].texts if text.get_weight() == "bold"]
    assert [(text.get_text(), text.get_position()[0]) for text in labels] == [("a", 6.5)]


def test_the_image_of_snapshots_is_as_wide_as_asked_and_stands_in_the_middle():
    figure = plot_snapshots({0: torch.zeros(6, 4)}, ABC, IMAGE, CENTRES, width=4.0)
    place, (across, down) = figure.axes[0].get_position(), figure.get_size_inches()
    assert across * place.width == pytest.approx(4.0) and down * place.height == pytest.approx(1.0)
    assert place.x0 + place.x1 == pytest.approx(1)


def test_the_plateau_shows_every_run_and_the_floors_in_words():
    losses = {"with": [5.0] * 4 + [1.0] * 6, "without": [4.0] * 10}
    blanks = {"with": {0: 0.1, 5: 0.9}, "without": {0: 0.2, 5: 0.8, 10: 0.7}}
    left, right = plot_plateau(losses, blanks, {"same answer everywhere": 3.25, "entropy": 2.92}).axes
    assert list(left.lines[0].get_xdata()) == list(range(1, 11))  # a mean stands at the middle of its steps
    assert left.lines[0].get_ydata()[2] == pytest.approx(4.2) and left.lines[0].get_ydata()[-1] == 1
    assert [line.get_ydata()[0] for line in left.lines[2:]] == [2.92, 3.25]
    assert [text.get_text() for text in left.texts] == ["entropy: 2.92", "same answer everywhere: 3.25"]
    assert list(right.lines[1].get_xdata()) == [0, 5, 10] and list(right.lines[1].get_ydata()) == [0.2, 0.8, 0.7]
    short = plot_plateau({"short": [3.0, 2.0]}, {"short": {0: 0.5}}, {"entropy": 2.9}).axes[0].lines[0]
    assert short.get_xdata().tolist() == [1, 2] and short.get_ydata().tolist() == [2.5, 2.5]


def test_reliability_shows_each_group_against_the_diagonal():
    groups = reliability([0.2, 0.4, 0.8, 0.9], [False, True, True, True], bins=2)
    for ax, colour, name in zip(plot_reliability({"text": groups, "path": groups}).axes, (BLUE, RED), ("text", "path")):
        assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [0, 1] and ax.get_title() == name
        [points] = [line for line in ax.lines if line.get_color() == colour and line.get_marker() in ("o", "s")]
        np.testing.assert_allclose(points.get_xydata(), [[0.3, 0.5], [0.85, 1]])


def test_blanks_are_grey_and_nothing_depends_on_the_readers_theme():
    with matplotlib.rc_context({"axes.facecolor": "black", "text.color": "white"}):
        figure = plot_lattice(random_log_probs(), "ab", ABC)
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_color() == GREY for label in labels] == [True, False, True, False, True]
    assert figure.axes[0].get_facecolor() == (1, 1, 1, 1)
