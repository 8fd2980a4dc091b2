"""Greedy decoding and beam search: texts, and log-probabilities, that others publish."""

from typing import NamedTuple

from published_vectors.losses import Rows, logs


class Greedy(NamedTuple):
    """log-probabilities ``(T, C)``, the published target, and its log-probability where one is published."""

    source: str
    name: str
    log_probs: Rows
    blank: int
    target: tuple[int, ...]
    log_prob: float | None = None


class Beam(NamedTuple):
    """log-probabilities ``(T, C)``, the width of the beam, the published targets, best first, and their log-probabilities."""

    source: str
    name: str
    log_probs: Rows
    blank: int
    beam: int
    targets: list[tuple[int, ...]]
    log_probs_of_targets: list[float] | None = None
    exact: bool = False  # whether it is also what all paths together give


def one_hot(path: list[int], classes: int, other: float = 0.0) -> Rows:
    return [[1.0 if index == best else other for index in range(classes)] for best in path]


TF_1 = [[1.0, 0, 0, 0], [0, 0, 0.4, 0.6], [0, 0, 0.4, 0.6], [0, 0.9, 0.1, 0]]
TF_2 = [[0.1, 0.9, 0, 0], [0, 0.9, 0.1, 0], [0, 0, 0.1, 0.9], [0, 0.9, 0.1, 0.1], [0.9, 0.1, 0, 0]]


def blank_at_2(rows: Rows) -> Rows:
    return [[row[0], row[1], row[3], row[2]] for row in rows]


HIBERNATING = [
    [0.30999, 0.309938, 0.0679938, 0.0673362, 0.0708352, 0.173908],
    [0.215136, 0.439699, 0.0370931, 0.0393967, 0.0381581, 0.230517],
    [0.199959, 0.489485, 0.0233221, 0.0251417, 0.0233289, 0.238763],
    [0.279611, 0.452966, 0.0204795, 0.0209126, 0.0194803, 0.20655],
    [0.51286, 0.288951, 0.0243026, 0.0220788, 0.0219297, 0.129878],
]
ADDED = [0.155251, 0.164444, 0.173517, 0.176138, 0.169979, 0.160671]  # a sixth step


def blank_first(rows: Rows) -> Rows:
    return [[row[-1], *row[:-1]] for row in rows]


BAIDU = "' abcd_"  # the last is the blank
BAIDU_1 = [
    [0.06390443, 0.21124858, 0.27323887, 0.06870235, 0.0361254, 0.18184413, 0.16493624],
    [0.03309247, 0.22866108, 0.24390638, 0.09699597, 0.31895462, 0.0094893, 0.06890021],
    [0.218104, 0.19992557, 0.18245131, 0.08503348, 0.14903535, 0.08424043, 0.08120984],
    [0.12094152, 0.19162472, 0.01473646, 0.28045061, 0.24246305, 0.05206269, 0.09772094],
    [0.1333387, 0.00550838, 0.00301669, 0.21745861, 0.20803985, 0.41317442, 0.01946335],
    [0.16468227, 0.1980699, 0.1906545, 0.18963251, 0.19860937, 0.04377724, 0.01457421],
]
BAIDU_2 = [
    [0.08034842, 0.22671944, 0.05799633, 0.36814645, 0.11307441, 0.04468023, 0.10903471],
    [0.09742457, 0.12959763, 0.09435383, 0.21889204, 0.15113123, 0.10219457, 0.20640612],
    [0.45033529, 0.09091417, 0.15333208, 0.07939558, 0.08649316, 0.12298585, 0.01654384],
    [0.02512238, 0.22079203, 0.19664364, 0.11906379, 0.07816055, 0.22538587, 0.13483174],
    [0.17928453, 0.06065261, 0.41153005, 0.1172041, 0.11880313, 0.07113197, 0.04139363],
    [0.15882358, 0.1235788, 0.23376776, 0.20510435, 0.00279306, 0.05294827, 0.22298418],
]
ROUNDED_1 = [  # the same with four decimals, blank first
    [0.1649, 0.0639, 0.2112, 0.2732, 0.0687, 0.0361, 0.1818],
    [0.0689, 0.0331, 0.2287, 0.2439, 0.0970, 0.3190, 0.0095],
    [0.0812, 0.2181, 0.1999, 0.1825, 0.0850, 0.1490, 0.0842],
    [0.0977, 0.1209, 0.1916, 0.0147, 0.2805, 0.2425, 0.0521],
    [0.0195, 0.1333, 0.0055, 0.0030, 0.2175, 0.2080, 0.4132],
    [0.0146, 0.1647, 0.1981, 0.1907, 0.1896, 0.1986, 0.0438],
]
ROUNDED_2 = [
    [0.1090, 0.0803, 0.2267, 0.0580, 0.3681, 0.1131, 0.0447],
    [0.2064, 0.0974, 0.1296, 0.0944, 0.2189, 0.1511, 0.1022],
    [0.0165, 0.4503, 0.0909, 0.1533, 0.0794, 0.0865, 0.1230],
    [0.1348, 0.0251, 0.2208, 0.1966, 0.1191, 0.0782, 0.2254],
    [0.0414, 0.1793, 0.0607, 0.4115, 0.1172, 0.1188, 0.0711],
    [0.2230, 0.1588, 0.1236, 0.2338, 0.2051, 0.0028, 0.0529],
]
TWO_CLASSES = [[0, 0.6, 0, 0.4, 0, 0], [0, 0.5, 0, 0.5, 0, 0], *[[0, 0.4, 0, 0.6, 0, 0]] * 3]


def baidu(text: str, blank_is_first: bool = False) -> tuple[int, ...]:
    return tuple(BAIDU.index(symbol) + blank_is_first for symbol in text)


KERAS = [  # logits, blank first; of the third sequence only one step counts
    [[0.1, 0.4, 0.2, 0.4], [0.3, -0.3, 0.4, 0.2], [0.3, 0.2, 0.4, 0.3]],
    [[0.7, 0.4, 0.3, 0.2], [0.3, 0.3, 0.4, 0.1], [0.6, -0.1, 0.1, 0.5]],
    [[0.1, 0.4, 0.2, 0.7]],
]


def spaced(emitted: dict[int, list[float]], steps: int = 20) -> Rows:
    """As fast-ctc-decode's tests: the blank, class 0, has 0.5, except where a step's row is given."""
    return [emitted.get(t, [0.5, 0, 0, 0, 0]) for t in range(steps)]


A, C, G = [0.0, 1, 0, 0, 0], [0.0, 0, 1, 0, 0], [0.0, 0, 0, 1, 0]
QUALITIES = {3: [0, 0.99, 0, 0, 0], 4: [0, 0.99, 0, 0, 0], 6: [0, 0, 0.999, 0, 0], 7: [0, 0, 0.999, 0, 0]}
QUALITIES |= {t: [0, 0, 0, 0, p] for t, p in {9: 0.6, 10: 0.7, 11: 0.8, 13: 0.4, 14: 0.5, 15: 0.6}.items()}
OFF_PATH = [[0.7, 0.1, 0.2], [0.7, 0.1, 0.2], [0.2, 0.3, 0.5], [0.2, 0.2, 0.6], [0.3, 0.3, 0.4]]
OFF_PATH += [[0.2, 0.2, 0.6], [0.2, 0.3, 0.5], [0.7, 0.1, 0.2], [0.7, 0.1, 0.2]]
DISAGREEING = [[0.01, 0.98, 0.01], [0.01, 0.34, 0.65], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98]]
AA_BLANK_AA = one_hot([0, 0, 1, 0, 0], 2)

LABELS = " bgnsuy"  # the blank is the eighth class
BUGS, BUNNY = [LABELS.index(symbol) for symbol in "bugs"], [1, 5, 3, 7, 3, 6]
MIXED = [[0.49 * a + 0.51 * b for a, b in zip(*rows)] for rows in zip(one_hot([*BUGS, 7, 7], 8), one_hot(BUNNY, 8))]
BUNNIES = logs([[max(value, 1e-15) for value in row] for row in [*MIXED, *one_hot([0, *BUNNY], 8)]])
BUNNY_BUNNY = tuple(LABELS.index(symbol) for symbol in "bunny bunny")

GREEDY = [
    Greedy("tensorflow-decoder", "first", logs(TF_1), 3, (0, 1), -1.12701176),  # log(0.6 * 0.6 * 0.9)
    Greedy("tensorflow-decoder", "second", logs(TF_2), 3, (1, 1, 0), -0.52680258),  # 5 log 0.9
    Greedy("tensorflow-decoder", "first, blank 2", logs(blank_at_2(TF_1)), 2, (0, 1), -1.12701176),
    Greedy("tensorflow-decoder", "second, blank 2", logs(blank_at_2(TF_2)), 2, (1, 1, 0), -0.52680258),
    Greedy("keras-decode", "first", KERAS[0], 0, (1, 2), 1.2),  # Keras gives the negative sum of the logits
    Greedy("keras-decode", "second", KERAS[1], 0, (2,), 1.7),
    Greedy("keras-decode", "third", KERAS[2], 0, (3,), 0.7),
    Greedy("ctcdecoder", "mini", logs([[0.4, 0, 0.6]] * 2), 2, (), -1.02165125),  # log 0.36, from the README
    Greedy("ctcdecode", "first", logs(BAIDU_1), 6, baidu("ac'bdc")),
    Greedy("ctcdecode", "second", logs(BAIDU_2), 6, baidu("b'da")),
    Greedy("ctcdecode-pytorch", "first", logs(ROUNDED_1), 0, baidu("ac'bdc", True)),
    Greedy("ctcdecode-pytorch", "second", logs(ROUNDED_2), 0, baidu("b'da", True)),
    Greedy("ctcdecode-2017", "AA_AA", logs(AA_BLANK_AA), 1, (0, 0)),
    Greedy("ctcdecode-2017", "AA_AA, blank first", logs(blank_first(AA_BLANK_AA)), 0, (1, 1)),
    Greedy("fast-ctc-decode", "repeat", logs(spaced(dict.fromkeys([6, 13, 18], A))), 0, (1, 1, 1)),
    Greedy("fast-ctc-decode", "multi-char", logs(spaced({6: A, 13: C, 18: G})), 0, (1, 2, 3)),
    Greedy("fast-ctc-decode", "qualities", logs(spaced(QUALITIES)), 0, (1, 2, 4, 4)),
    Greedy("fast-ctc-decode", "off path", logs(OFF_PATH), 0, (2,)),
    Greedy("pyctcdecode", "bunny", BUNNIES, 7, BUNNY_BUNNY),
    Greedy("pytorch-end2end", "dc", [[1.0, 2, 4, 3, 10], [2, 1, 3, 8, 1]], 0, (4, 3)),
    Greedy("pytorch-end2end", "nothing", logs([[0.7, 0.3]] * 2), 0, ()),
    *[
        Greedy("awni-speech", str(path), logs(one_hot(path, 3)), 0, target)
        for path, target in (([1, 2, 2, 0, 0, 0, 2, 1], (1, 2, 2, 1)), ([2, 2, 2], (2,)), ([0, 0, 0], ()))
    ],
]

TWO_OF_TF = [-5.811451, -6.63339]
BEAMS = [
    # TensorFlow takes the probabilities as logits, and so has another distribution than the two after it.
    Beam("tensorflow-decoder", "hibernating", HIBERNATING, 5, 2, [(1, 0), (1,)], TWO_OF_TF),
    Beam("ctcdecode-2017", "hibernating", logs(HIBERNATING), 5, 2, [(1, 0), (0, 1, 0)], [-3.58212, -3.77783]),
    Beam("ctcdecode-2017", "blank first", logs(blank_first(HIBERNATING)), 0, 2, [(2, 1), (1, 2, 1)], [-3.58212, -3.77783]),
    Beam("ctcdecode-2017", "0.64", logs([[0.4, 1e-8, 0.6]] * 2), 2, 3, [(0,)], [-0.44628710], True),
    # Its second is left out: (2, 1, 4) with -5.318605, where (1, 2, 1) has -4.930092.
    Beam("ctcdecode-pytorch", "six steps", logs(blank_first([*HIBERNATING, ADDED])), 0, 2, [(2, 1)], [-4.73437]),
    Beam("ctcdecode-pytorch", "two classes", logs(TWO_CLASSES), 0, 30, [(1, 3), (1, 3, 1), (3, 1, 3)], None, True),
    Beam("ctcdecode-pytorch", "first", logs(ROUNDED_1), 0, 20, [baidu("acdc", True)]),
    Beam("ctcdecode-pytorch", "second", logs(ROUNDED_2), 0, 20, [baidu("b'a", True)]),
    Beam("ctcdecode", "first", logs(BAIDU_1), 6, 20, [baidu("acdc")]),  # all paths together give acb
    Beam("ctcdecode", "second", logs(BAIDU_2), 6, 20, [baidu("b'a")]),
    Beam("keras-decode", "first", KERAS[0], 0, 4, [(1, 2), (2,)], [-2.426537, -2.435596]),
    Beam("keras-decode", "second", KERAS[1], 0, 4, [(2,), (3,)], [-2.127681, -2.182338], True),
    Beam("keras-decode", "third", KERAS[2], 0, 4, [(3,), (1,)], [-1.063386, -1.363386], True),
    Beam("ctcdecoder", "mini", logs([[0.4, 0, 0.6]] * 2), 2, 25, [(0,), ()], [-0.44628710, -1.02165125], True),
    Beam("pytorch-end2end", "a", logs([[0.7, 0.3]] * 2), 0, 20, [(1,)], None, True),
    Beam("fast-ctc-decode", "repeat", logs(spaced(dict.fromkeys([6, 13, 18], A))), 0, 5, [(1, 1, 1)]),
    Beam("fast-ctc-decode", "multi-char", logs(spaced({6: A, 13: C, 18: G})), 0, 5, [(1, 2, 3)]),
    Beam("fast-ctc-decode", "disagreeing", logs(DISAGREEING), 0, 5, [(1, 2, 1, 2)], None, True),
    Beam("pyctcdecode", "bunny", BUNNIES, 7, 100, [BUNNY_BUNNY]),
]

# TensorFlow's collapse_repeated: labels, as many of them as count, and what they are without repeats (no blank among them).
COLLAPSED = [
    ("plain", [1, 3, 3, 3], (1, 3)),
    ("plain", [1, 4, 4, 4, 0], (1, 4, 0)),
    ("plain", [4, 2, 2, 9, 4], (4, 2, 9, 4)),
    ("front repeats", [1, 1, 1, 2, 2], (1, 2)),
    ("front repeats", [1, 1, 1, 2], (1, 2)),
    ("front repeats", [1, 1, 1], (1,)),
    ("all the same", [1, 1, 1, 1], (1,)),
    ("all the same", [1, 1, 1, 1, 1], (1,)),
    ("all the same", [1], (1,)),
]
PROBABILITIES = [("ctcdecoder", [[0.4, 0, 0.6]] * 2, 2, (0,), 0.64), ("ctcdecoder", [[0.4, 0, 0.6]] * 2, 2, (), 0.36)]
