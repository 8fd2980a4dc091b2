"""Figures of the speed benchmark: CER against seconds of training, and speed against the machine's peak."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps

from ocrlib.plots import BESIDE, BLACK, RED, SKY, Figure, finished, styled
from ocrlib.studies.plots import MARKERS
from ocrlib.studies.speed import TRAINING, Race

LEGEND = BESIDE | {"fontsize": 9}


@styled
def plot_races(races: Sequence[Race], levels: Sequence[float], characters: int) -> Figure:
    """CER after each epoch against the seconds of training so far, on logarithmic axes, with a dashed line at each level.

    A CER of 0 is drawn at half an error in ``characters``, since a logarithmic axis has no zero.
    """
    ax = Figure(9.0, 4.6, "character error rate against seconds of training, one line for each change").subplots()
    colours = colormaps["viridis"](np.linspace(0.0, 0.92, max(len(races), 2)))
    for race, colour, marker in zip(races, colours, MARKERS * len(races)):
        cers = np.maximum(race.cers, 0.5 / characters)
        ax.loglog(np.cumsum(race.seconds), cers, marker=marker, markersize=4, linewidth=1.4, color=colour, label=race.title)
    for level in levels:
        ax.axhline(level, color=RED, linestyle="--", linewidth=1)
        ax.text(0.01, level, f"CER {level:.2%}", transform=ax.get_yaxis_transform(), va="bottom", color=RED)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="training so far (seconds)", ylabel="CER on the watched images")
    return finished(ax, legend=LEGEND, title="how fast each change gets there")


@styled
def plot_roofline(speeds: Mapping[str, tuple[float, float]], peaks: Mapping[str, float]) -> Figure:
    """A roofline plot of training: images a second against FLOPs of an image's forward pass, each name a point.

    ``peaks`` are FLOPs a second by name. Each is drawn as a line at peak / (3 x FLOPs), above which no point can lie:
    the backward pass takes twice the forward pass.
    """
    ax = Figure(8.0, 4.4, "images a second against operations an image, under the speed of a large matrix product").subplots()
    work = np.array([flops for flops, _ in speeds.values()])
    line = np.array([work.min() / 3, work.max() * 3])
    for (name, peak), style, colour in zip(peaks.items(), ("-", "--", ":"), (BLACK, SKY, RED)):
        ax.loglog(line / 1e6, peak / (TRAINING * line), style, color=colour, label=f"{name}: {peak / 1e9:,.0f} GFLOP/s")
    colours = colormaps["viridis"](np.linspace(0.0, 0.92, max(len(speeds), 2)))
    for (name, (flops, speed)), colour, marker in zip(speeds.items(), colours, MARKERS * len(speeds)):
        ax.loglog(flops / 1e6, speed, marker, color=colour, markersize=8, label=name)
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.yaxis.set_major_formatter("{x:,g}")
    ax.set(xlabel="work: operations of one image forward (MFLOP)", ylabel="training speed (images a second)")
    return finished(ax, legend=LEGEND, title="how close to the machine's best")
