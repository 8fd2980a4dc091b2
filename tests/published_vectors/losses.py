"""CTC losses and gradients that others publish, and where their best paths lie."""

from math import inf, log
from typing import NamedTuple

Rows = list[list[float]]


class Loss(NamedTuple):
    """logits ``(T, C)``, a target, and what is published: the loss, and the gradient with respect to the logits."""

    source: str
    name: str
    logits: Rows
    target: tuple[int, ...]
    loss: float
    gradient: Rows | None = None
    blank: int = 0
    within: float = 2e-6  # of the numbers, which are rounded


def logs(rows: Rows) -> Rows:
    """Logarithms of published probabilities."""
    return [[log(value) if value else -inf for value in row] for row in rows]


GRAVES = [  # classes 0 to 4 and the blank
    [0.633766, 0.221185, 0.0917319, 0.0129757, 0.0142857, 0.0260553],
    [0.111121, 0.588392, 0.278779, 0.0055756, 0.00569609, 0.010436],
    [0.0357786, 0.633813, 0.321418, 0.00249248, 0.00272882, 0.0037688],
    [0.0663296, 0.643849, 0.280111, 0.00283995, 0.0035545, 0.00331533],
    [0.458235, 0.396634, 0.123377, 0.00648837, 0.00903441, 0.00623107],
]
GRAVES_GRADIENT = [
    [-0.366234, 0.221185, 0.0917319, 0.0129757, 0.0142857, 0.0260553],
    [0.111121, -0.411608, 0.278779, 0.0055756, 0.00569609, 0.010436],
    [0.0357786, 0.633813, -0.678582, 0.00249248, 0.00272882, 0.0037688],
    [0.0663296, -0.356151, 0.280111, 0.00283995, 0.0035545, 0.00331533],
    [-0.541765, 0.396634, 0.123377, 0.00648837, 0.00903441, 0.00623107],
]
GRAVES_2 = [
    [0.30176, 0.28562, 0.0831517, 0.0862751, 0.0816851, 0.161508],
    [0.24082, 0.397533, 0.0557226, 0.0546814, 0.0557528, 0.19549],
    [0.230246, 0.450868, 0.0389607, 0.038309, 0.0391602, 0.202456],
    [0.280884, 0.429522, 0.0326593, 0.0339046, 0.0326856, 0.190345],
    [0.423286, 0.315517, 0.0338439, 0.0393744, 0.0339315, 0.154046],
]
GRAVES_2_GRADIENT = [
    [-0.69824, 0.28562, 0.0831517, 0.0862751, 0.0816851, 0.161508],
    [0.24082, -0.602467, 0.0557226, 0.0546814, 0.0557528, 0.19549],
    [0.230246, 0.450868, 0.0389607, 0.038309, 0.0391602, -0.797544],
    [0.280884, -0.570478, 0.0326593, 0.0339046, 0.0326856, 0.190345],
    [-0.576714, 0.315517, 0.0338439, 0.0393744, 0.0339315, 0.154046],
]
SMALL = [[0.1, 0.6, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.1, 0.1]]
SMALL_GRADIENT = [[0.177031, -0.708125, 0.177031, 0.177031, 0.177031], [0.177031, 0.177031, -0.708125, 0.177031, 0.177031]]
MEDIUM = [[SMALL[0], [0.6, 0.1, 0.1, 0.1, 0.1]], [SMALL[1], [0.1, 0.1, 0.5, 0.2, 0.1]]]  # two sequences
RISING = [[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]]
FALLING = [[-5.0, -4, -3, -2, -1], [-10, -9, -8, -7, -6], [-15, -14, -13, -12, -11]]
TORCH = [[1.2, 3.4, 1.2, -0.1, -2.34], [0.1, 0.2, 0.3, 0.22, 0.123], [-15, -14, -13, -12, -11]]
TORCH_2 = [*TORCH[:2], [-15, -14.2, -13.5, -12.2, -11.22]]
FLUX = [[1.0, 2, 3], [2, 1, 3], [3, 1, 2]]
FLUX_GRADIENT = [[-0.317671, 0.244728, 0.0729422], [-0.427729, -0.0196172, 0.447346], [0.665241, -0.829811, 0.16457]]
FLUX_2 = [[-3.0, 4, 8], [12, 20, -33], [8, -2, 6], [15, 20, 5]]
FLUX_2_GRADIENT = [
    [-2.29294774655333e-06, 0.017985914969696, -0.01798362202195],
    [-0.999662657278862, 0.999662657278861, -2.52019580677916e-20],
    [1.75500863563993e-06, -1.9907078755387e-06, 2.35699239251042e-07],
    [0.00669284889063, -0.006693150917307, 3.02026677058789e-07],
]
EVEN = [[0.25] * 4] * 3

LOSSES = [
    Loss("tensorflow", "first", logs(GRAVES), (0, 1, 2, 1, 0), 3.34211, GRAVES_GRADIENT, 5, 4e-6),
    Loss("tensorflow", "second", logs(GRAVES_2), (0, 1, 1, 0), 5.42262, GRAVES_2_GRADIENT, 5, 4e-6),
    Loss("warp-ctc", "small", SMALL, (1, 2), 2.46286, within=4e-6),
    Loss("warp-ctc-tensorflow", "basic", SMALL, (1, 2), 2.46286, SMALL_GRADIENT, within=4e-6),
    Loss("warp-ctc-tutorial", "a", [[0.0] * 5], (1,), 1.6094379425049, within=1e-7),
    Loss("warp-ctc-tutorial", "cc", RISING, (3, 3), 7.355742931366, within=1e-6),
    Loss("warp-ctc-tutorial", "bc", FALLING, (2, 3), 4.938850402832, within=1e-6),
    Loss("warp-ctc-pytorch", "simple", SMALL, (1, 2), 2.4628584384918, within=1e-6),
    Loss("k2", "case1", [[0.2] * 5], (1,), 1.6094379425049, within=1e-7),
    Loss("keras", "op 1", [[0.4, 0.8, 0.4], [0.2, 0.8, 0.3], [0.9, 0.4, 0.5]], (1, 2, 1), 3.4411672, within=1e-6),
    Loss("keras", "op 2", [[0.4, 0.8, 0.4], [0.2, 0.3, 0.3]], (1, 2), 1.91680186, within=1e-6),
    Loss("flux", "first", FLUX, (0, 1), 3.6990738275138035, FLUX_GRADIENT, 2, 2e-6),
    Loss("flux", "second", FLUX_2, (0, 1), 8.02519869363453, FLUX_2_GRADIENT, 2, 1e-9),
    Loss("mxnet", "against Torch", TORCH, (2, 3), 4.04789, within=1e-5),
    Loss("mxnet", "against Torch, falling", FALLING, (2, 3, 1), 7.3557, within=6e-5),
    Loss("mxnet", "against Torch, one symbol", TORCH_2, (2,), 5.4091, within=6e-5),
    Loss("mxnet-gluon", "first", [[1.0] * 4] * 20, (1, 0), 18.82820702, blank=3, within=4e-6),
    Loss("mxnet-gluon", "second", [[1.0] * 4] * 20, (2, 1, 1), 16.50581741, blank=3, within=4e-6),
    Loss("gtn", "one path", logs([[1, 0], [0, 1], [1, 0]]), (0, 0), 0.0, blank=1),
    Loss("gtn", "five paths", logs(EVEN), (1, 2), -log(0.25**3 * 5), blank=3),
    Loss("ctcdecoder", "mini", logs([[0.4, 0, 0.6]] * 2), (0,), -log(0.64), blank=2),
]

# Sums over sequences (logits, target): the parts are not published.
SUMS = [
    ("warp-ctc-pytorch", "medium", [(MEDIUM[0], (1, 2)), (MEDIUM[1], (1, 2))], 6.0165174007416, 1e-6),
    ("warp-ctc-pytorch", "empty label", [(MEDIUM[0], (1, 2)), (MEDIUM[1], ())], 6.416517496109, 1e-6),
    ("k2", "case4", [(FALLING, (2, 3)), (RISING, (3, 3)), ([[0.0] * 5], (1,))], 13.9040312767, 2e-6),  # they add the parts
]

# use_softmax_test of warp-ctc: what is given is taken as log-probabilities as it is, although it doesn't sum to 1.
UNNORMALISED = [
    (
        [[0.633766, 0.221185, 0.0917319, 0.0129757], [0.111121, 0.588392, 0.278779, 0.0055756]],
        (1, 2),
        -0.499964,
        [[1.884695, 0.247554, 1.096071, 1.013060], [1.117530, 1.801090, 0.321515, 1.005591]],
    ),
    (
        [[0.30176, 0.28562, 0.0831517, 0.0862751], [0.24082, 0.397533, 0.0557226, 0.0546814]],
        (2, 1),
        -0.480685,
        [[1.352237, 1.330587, 0.086707, 1.090106], [1.272292, 0.488149, 1.057304, 1.056204]],
    ),
]

# TensorFlow's comments print alpha and beta of Graves' implementation, without the rows from which no path goes on:
# (table, sequence, first step's row and values, second step's, ...).
TABLES = [
    ("alpha", 0, [(0, -3.64753, -0.456075), (3, -0.986437), (5, -2.12145), (7, -2.56174), (9, -3.34211)]),
    ("beta", 0, [(1, -2.88604), (3, -2.35568), (5, -1.22066), (7, -0.780373), (9, 0, 0)]),
    (
        "alpha",
        1,
        [(0, -1.8232, -1.19812), (1, -2.19315, -2.83037, -2.1206), (3, -2.03268, -3.71783), (5, -4.56292), (7, -5.42262)],
    ),
    ("beta", 1, [(1, -4.2245), (3, -3.30202), (4, -1.70479, -0.856738), (5, -0.859706, -0.859706, -0.549337), (7, 0, 0)]),
]

# The tutorial of warp-ctc lists the paths of its examples; a is 1, b 2, c 3.
PATHS = {"a": [(1,)], "cc": [(3, 0, 3)], "bc": [(0, 2, 3), (2, 0, 3), (2, 3, 0), (2, 2, 3), (2, 3, 3)]}

# Best paths of a target: (source, name, probabilities or scores, target, blank, path).
FORCED = [
    ("torchaudio", "equal neighbours", logs(GRAVES), (0, 1, 1, 0), 5, (0, 1, 5, 1, 0)),
    ("torchaudio", "as long as the steps", logs(GRAVES), (0, 1, 2, 3, 4), 5, (0, 1, 2, 3, 4)),
    ("torchaudio", "three times the same", logs(GRAVES), (3, 3, 3), 5, (3, 5, 3, 5, 3)),
    ("torchaudio", "shorter than the steps", logs(GRAVES), (0, 1, 2), 5, (0, 1, 1, 1, 2)),
]


def scores(peaks: list[int], classes: int, low: dict[int, int] | None = None) -> Rows:
    """As flashlight's tests: 0.01 everywhere, 1 at the peak of each step (-1: none), 0 where ``low`` says."""
    rows = [[1.0 if index == peak else 0.01 for index in range(classes)] for peak in peaks]
    for step, index in (low or {}).items():
        rows[step][index] = 0.0
    return rows


FORCED += [
    ("flashlight", "constrained", scores([-1, 0, -1, 1, -1, 2, -1, 3], 5), (0, 1, 2, 3), 4, (0, 0, 1, 1, 2, 2, 3, 3)),
    ("flashlight", "no spaces", scores([1] * 10, 30), (1,), 29, (1,) * 10),
    ("flashlight", "end with space", scores([1] * 9 + [29], 30, {9: 1}), (1,), 29, (1,) * 9 + (29,)),
    ("flashlight", "begin with space", scores([29] + [1] * 9, 30, {0: 1}), (1,), 29, (29,) + (1,) * 9),
    ("flashlight", "both", scores([29] + [1] * 8 + [-1], 30, {0: 1, 9: 1}), (1,), 29, (29,) + (1,) * 8 + (29,)),
]

# optax: the only path of a target in as few steps as it needs.
SHORTEST = [
    ((1, 2, 2, 3), (1, 2, 0, 2, 3)),
    ((2, 3, 4, 4), (2, 3, 4, 0, 4)),
    ((1, 1, 1, 1), (1, 0, 1, 0, 1, 0, 1)),
    ((1, 1, 2, 3), (1, 0, 1, 2, 3)),
    ((1, 1, 1, 2), (1, 0, 1, 0, 1, 2)),
]
