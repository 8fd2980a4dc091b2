import itertools
import math

import pytest

pytest.importorskip("hypothesis", reason="needs hypothesis: pip install hypothesis")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ocrlib import CECRNN, CRNN, CTC, Alphabet, CrossEntropy, ModifiedCRNN, ctc_route, seed_everything
from ocrlib.texts import ctc_min_steps

ALPHABET = Alphabet("abc")


def one_hot_logits(path: list[int]) -> torch.Tensor:
    """Logits (T, 1, C) whose best classes are ``path``."""
    return nn.functional.one_hot(torch.tensor(path), len(ALPHABET)).float()[:, None]


def collapse(path: tuple[int, ...]) -> str:
    """CTC's rule, written the slow way: merge repeats, then drop blanks."""
    return ALPHABET.decode(symbol for symbol, _ in itertools.groupby(path))


@pytest.mark.parametrize(
    ("path", "text"),
    [([0, 0, 0], ""), ([1, 1, 2], "ab"), ([1, 0, 1], "aa"), ([0, 3, 3, 0, 0, 3, 2], "ccb"), ([2], "b")],
)
def test_greedy_decoding_of_hand_made_paths(path, text):
    assert CTC(ALPHABET).decode(one_hot_logits(path)) == [text]


def test_ctc_decodes_each_column_of_a_batch_by_itself():
    logits = torch.cat([one_hot_logits([1, 1, 0]), one_hot_logits([0, 1, 2])], dim=1)
    assert CTC(ALPHABET).decode(logits) == ["a", "ab"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_greedy_decoding_collapses_as_the_rule_says(path):
    assert CTC(ALPHABET).decode(one_hot_logits(path)) == [collapse(tuple(path))]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_per_position_decoding_keeps_repeats(path):
    assert CrossEntropy(ALPHABET).decode(one_hot_logits(path)) == ["".join("abc"[i - 1] for i in path if i)]


@given(st.text("abc", min_size=1, max_size=4), st.integers(1, 5))
@settings(deadline=None)
def test_a_text_is_feasible_exactly_when_some_path_spells_it(text, steps):
    paths = itertools.product(range(4), repeat=steps)
    assert (ctc_min_steps(text) <= steps) == any(collapse(path) == text for path in paths)


@given(st.text("abc", min_size=1, max_size=3), st.integers(1, 5), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_ctc_loss_is_minus_log_of_the_summed_paths(text, steps, seed):
    logits = torch.randn(steps, 1, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    p = logits.softmax(2)[:, 0]
    paths = itertools.product(range(4), repeat=steps)
    total = sum(math.prod(float(p[t, i]) for t, i in enumerate(path)) for path in paths if collapse(path) == text)
    loss = CTC(ALPHABET).loss(logits, *ALPHABET.encode_batch([text]))
    expected = -math.log(total) / len(text) if total else 0.0  # zero_infinity
    assert float(loss) == pytest.approx(expected, abs=1e-4)


def test_ctc_loss_equals_torchs_with_padding_and_gradient():
    texts = ["ab", "cca", "b"]
    targets, lengths = ALPHABET.encode_batch(texts)
    logits = torch.randn(7, 3, 4, requires_grad=True)
    ours = CTC(ALPHABET).loss(logits, targets, lengths)
    (gradient,) = torch.autograd.grad(ours, logits)
    theirs = nn.CTCLoss(zero_infinity=True)(logits.log_softmax(2), targets, torch.full((3,), 7), lengths)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient, torch.autograd.grad(theirs, logits)[0])


def test_cross_entropy_equals_torchs_over_n_c_t():
    targets, lengths = ALPHABET.encode_batch(["abc", "ccc"])
    logits = torch.randn(3, 2, 4)
    theirs = nn.CrossEntropyLoss()(logits.permute(1, 2, 0), targets)
    assert torch.allclose(CrossEntropy(ALPHABET).loss(logits, targets, lengths), theirs)


@pytest.mark.parametrize("objective", [CTC, CrossEntropy])
def test_a_batch_of_another_size_is_refused(objective):
    with pytest.raises(ValueError, match="N = 2"):
        objective(ALPHABET).loss(torch.zeros(3, 2, 4), torch.ones(5, 3, dtype=torch.int64), torch.full((5,), 3))


@pytest.mark.parametrize("objective", [CTC, CrossEntropy])
def test_another_number_of_classes_is_refused(objective):
    with pytest.raises(ValueError, match=r"\(T, N, 4\).*classes=len\(alphabet\)"):
        objective(ALPHABET).loss(torch.zeros(3, 1, 37), torch.ones(1, 3, dtype=torch.int64), torch.tensor([3]))


def test_a_target_with_the_blank_is_refused():
    with pytest.raises(ValueError, match="Target 1 holds index 0"):
        CTC(ALPHABET).loss(torch.zeros(5, 2, 4), torch.tensor([[1, 0], [2, 0]]), torch.tensor([1, 2]))


def test_cross_entropy_refuses_a_target_with_the_blank():
    with pytest.raises(ValueError, match="Target 0 holds index 0"):
        CrossEntropy(ALPHABET).loss(torch.zeros(2, 1, 4), torch.tensor([[1, 0]]), torch.tensor([2]))


def test_cross_entropy_refuses_targets_of_another_length():
    with pytest.raises(ValueError, match="3 steps, but targets of length 2"):
        CrossEntropy(ALPHABET).loss(torch.zeros(3, 1, 4), torch.tensor([[1, 2]]), torch.tensor([2]))


def test_a_text_too_long_for_the_steps_is_named():
    with pytest.raises(ValueError, match=r"9 steps for 'fffff'.*ModifiedCRNN has 8 at width 144"):
        CTC(Alphabet()).check(ModifiedCRNN(), 144, ["cd5fg", "fffff"])
    CTC(Alphabet()).check(ModifiedCRNN(), 176, ["fffff"])


def test_an_empty_text_is_refused():
    with pytest.raises(ValueError, match="Text number 1 is empty"):
        CTC(Alphabet()).check(CRNN(), 100, ["cd5fg", ""])


def test_cross_entropy_refuses_the_network_of_ctc():
    with pytest.raises(ValueError, match="CRNN has 24 steps.*was made for CTC, not for CrossEntropy"):
        CrossEntropy(Alphabet()).check(CRNN(), 100, ["cd5fg"])


def test_ctc_refuses_the_network_of_cross_entropy_or_warns_where_it_can_do():
    with pytest.raises(ValueError, match="'cd5ff'.*was made for CrossEntropy, not for CTC"):
        CTC(Alphabet()).check(CECRNN(), 128, ["cd5ff"])
    with pytest.warns(UserWarning, match="made for CrossEntropy"):
        CTC(Alphabet()).check(CECRNN(), 128, ["cd5fg"])


def test_cross_entropy_refuses_varying_lengths():
    with pytest.raises(ValueError, match="'cd5f' has 4 symbols"):
        CrossEntropy(Alphabet()).check(CECRNN(), 128, ["cd5fg", "cd5f"])


def test_the_ctc_route_is_named_with_its_reason(monkeypatch):
    seed_everything(0)
    assert ctc_route("cpu").name == "native"
    assert ctc_route("mps").name == "recursion"
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    assert ctc_route("cuda").name == "cudnn"
    assert "int32" in ctc_route("cuda").why
    assert ctc_route("cuda", cudnn_serves=False).name == "recursion"
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: False)
    assert ctc_route("cuda").name == "recursion"
    seed_everything(0, deterministic=False)
    assert ctc_route("cuda").name == "native"
    assert "differ" in ctc_route("cuda").why


def test_every_ctc_route_gives_the_same_loss(monkeypatch):
    """cuDNN's form of the arguments (int32, concatenated) means the same to torch's own kernel."""
    from ocrlib import objectives

    logits = torch.randn(7, 3, 4)
    batch = ALPHABET.encode_batch(["ab", "cca", "b"])
    losses = []
    for route in ["native", "cudnn", "recursion"]:
        monkeypatch.setattr(objectives, "ctc_route", lambda device, serves, name=route: objectives.Route(name, ""))
        losses.append(CTC(ALPHABET).loss(logits, *batch))
    assert torch.allclose(losses[0], losses[1]) and torch.allclose(losses[0], losses[2])


def test_cudnn_is_asked_only_for_what_it_can_do(monkeypatch):
    """As torch's ``_use_cudnn_ctc_loss`` has it: else a deterministic run would fail in torch's CUDA kernel."""
    from ocrlib import objectives

    asked = []
    monkeypatch.setattr(objectives, "ctc_route", lambda device, serves: asked.append(serves) or objectives.Route("native", ""))
    for text in ["ab", "ab" * 4, "ab" * 127 + "c", "ab" * 128]:
        for steps in (3, 300):
            CTC(ALPHABET).loss(torch.randn(steps, 1, 4), *ALPHABET.encode_batch([text]))
    assert asked == [True, True, False, True, False, True, False, False]


def test_cudnn_is_given_what_it_takes(monkeypatch):
    """One row of int32 targets on the CPU, lengths as numbers (tensors lead elsewhere, by torch's source), full length."""
    from ocrlib import objectives

    calls = []
    monkeypatch.setattr(objectives, "ctc_route", lambda device, serves: objectives.Route("cudnn", ""))
    monkeypatch.setattr(F, "ctc_loss", lambda *arguments, **options: calls.append((arguments, options)))
    CTC(ALPHABET).loss(torch.randn(7, 3, 4), *ALPHABET.encode_batch(["ab", "cca", "b"]))
    (((log_probs, targets, input_lengths, lengths), options),) = calls
    assert (log_probs.dtype, log_probs.ndim) == (torch.float32, 3)
    assert (targets.dtype, targets.device.type, targets.tolist()) == (torch.int32, "cpu", [1, 2, 3, 3, 1, 2])
    assert targets.is_contiguous()
    assert (input_lengths, lengths, options["blank"]) == ([7, 7, 7], [2, 3, 1], 0)


# -- kinds of fault known from elsewhere


@pytest.mark.parametrize("objective, steps", [(CTC, 24), (CrossEntropy, 5)])
@pytest.mark.parametrize("index", [4, 40, -1, 2**40])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_a_class_beyond_the_logits_is_refused(objective, steps, index, dtype):
    if index > 2**31 and dtype == torch.int32:
        pytest.skip("no int32 holds this index")
    targets = torch.ones(8, 5, dtype=dtype)
    targets[6, 3] = index
    with pytest.raises(ValueError, match=rf"Target 6 holds index {index}, which is not one of the 3 symbols, 1 to 3"):
        objective(Alphabet("abc")).loss(torch.randn(steps, 8, 4, requires_grad=True), targets, torch.full((8,), 5))


def test_what_lies_behind_a_texts_end_is_no_class():
    logits, lengths = torch.randn(9, 2, 4), torch.tensor([1, 2])
    plain = CTC(ALPHABET).loss(logits, torch.tensor([[1, 0], [2, 3]]), lengths)
    assert torch.equal(plain, CTC(ALPHABET).loss(logits, torch.tensor([[1, -1], [2, 3]]), lengths))
    assert torch.equal(plain, CTC(ALPHABET).loss(logits, torch.tensor([[1, 99], [2, 3]]), lengths))


@pytest.mark.parametrize("lengths", [[3, 2], [-1, 2]])
def test_lengths_outside_the_targets_are_refused(lengths):
    with pytest.raises(ValueError, match=r"target_lengths must lie in 0\.\.2"):
        CTC(ALPHABET).loss(torch.randn(9, 2, 4), torch.ones(2, 2, dtype=torch.int64), torch.tensor(lengths))
    with pytest.raises(ValueError, match=r"target_lengths must be \(2,\), one for each target, got \(1,\)"):
        CTC(ALPHABET).loss(torch.randn(9, 2, 4), torch.ones(2, 2, dtype=torch.int64), torch.tensor([2]))


@pytest.mark.parametrize("objective", [CTC, CrossEntropy])
@pytest.mark.parametrize("symbols", ["abc", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"])
def test_an_alphabet_of_another_size_is_refused_with_both_numbers(objective, symbols):
    words = rf"has 37 classes, but this alphabet of {len(symbols)} symbols and the blank needs {len(symbols) + 1}"
    logits = torch.randn(5, 2, 37)
    with pytest.raises(ValueError, match=words):
        objective(Alphabet(symbols)).decode(logits)
    with pytest.raises(ValueError, match=words):
        objective(Alphabet(symbols)).confidence(logits, ["a", "b"])
    with pytest.raises(ValueError, match=f"CECRNN {words}"):
        objective(Alphabet(symbols)).check(CECRNN(), 128, ["abcab"])
    with pytest.raises(ValueError, match=r"logits must be \(T, N, 4\), got \(5, 37\)"):
        objective(ALPHABET).decode(logits[:, 0])
