"""The heads of the comparison: their shapes, what they refuse, that they differ in the head alone, and that they can look."""

import pytest
import torch
from torch import nn

from ocrlib import CTC, EXPERIMENTS, Alphabet, ColumnCNN, CrossEntropy
from ocrlib.studies.heads import HEADS, AttentionCE, ColumnCTC, PooledCE, StridedCE, pool

CE_HEADS = [PooledCE, StridedCE, AttentionCE]
WIDTH = EXPERIMENTS["fast"].width
T = ColumnCNN().steps(WIDTH)


@pytest.mark.parametrize("head", CE_HEADS)
@pytest.mark.parametrize("positions", [5, 6])
def test_positions_whatever_the_columns(head, positions):
    model = head(classes=20, positions=positions)
    assert model(torch.rand(3, 1, 32, WIDTH) * 255).shape == (positions, 3, 20)
    assert model.steps(WIDTH) == positions


@pytest.mark.parametrize("pooled, steps", [(None, T), (10, 10), (T, T), (T + 5, T)])
def test_ctc_steps(pooled, steps):
    model = ColumnCTC(pooled=pooled)
    assert model(torch.rand(2, 1, 32, WIDTH) * 255).shape == (steps, 2, 37)
    assert model.steps(WIDTH) == steps


@pytest.mark.parametrize("count", [1, 4, 8, 16])
def test_pooling_by_whole_columns_is_that_of_torch(count):
    columns = torch.randn(16, 2, 3)
    theirs = nn.functional.adaptive_avg_pool1d(columns.permute(1, 2, 0), count).permute(2, 0, 1)
    assert torch.allclose(pool(columns, count), theirs, atol=1e-6)


@pytest.mark.parametrize("steps, count", [(16, 5), (32, 24), (31, 10)])
def test_pooling_takes_equal_shares_of_the_width(steps, count):
    weights = pool(torch.eye(steps)[:, None], count)[:, 0]  # (count, steps): what each share takes of each column
    assert torch.allclose(weights.sum(1), torch.ones(count), atol=1e-5)
    assert torch.allclose(weights.sum(0), torch.full((steps,), count / steps), atol=1e-5)
    centres = weights @ (torch.arange(steps) + 0.5)
    assert torch.allclose(centres.diff(), torch.full((count - 1,), steps / count), atol=0.51)  # a cut column counts as its middle


def test_without_pooling_it_is_the_column_network():
    torch.manual_seed(3)
    plain = ColumnCNN()
    torch.manual_seed(3)
    ours = ColumnCTC()
    images = torch.rand(4, 1, 32, WIDTH) * 255
    assert torch.equal(plain(images), ours(images))


@pytest.mark.parametrize("head", HEADS.values())
def test_one_seed_gives_all_heads_the_same_convolutions(head):
    torch.manual_seed(7)
    expected = ColumnCNN().state_dict()
    torch.manual_seed(7)
    found = head().state_dict()
    convolutions = [name for name in expected if name.startswith("convolutions")]
    assert convolutions
    assert all(torch.equal(expected[name], found[name]) for name in convolutions)


@pytest.mark.parametrize("head", HEADS.values())
def test_objective_fits(head):
    model = head()
    right, wrong = (CTC, CrossEntropy) if model.objective == "CTC" else (CrossEntropy, CTC)
    right(Alphabet()).check(model, WIDTH, ["cd5fg"])
    with pytest.raises(ValueError):
        wrong(Alphabet()).check(model, WIDTH, ["fffff"])


@pytest.mark.parametrize("head", CE_HEADS)
def test_another_length_is_refused(head):
    with pytest.raises(ValueError, match="'cd5f' has 4 symbols"):
        CrossEntropy(Alphabet()).check(head(), WIDTH, ["cd5ff", "cd5f"])


@pytest.mark.parametrize("head", HEADS.values())
def test_every_weight_learns(head):
    torch.manual_seed(0)
    model = head(classes=20)
    logits = model(torch.rand(4, 1, 32, WIDTH) * 255)
    (logits * torch.randn_like(logits)).sum().backward()  # a plain sum would leave a gradient of zero behind a softmax
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="pooled=0"):
        ColumnCTC(pooled=0)
    with pytest.raises(ValueError, match="too few for 5 positions"):
        StridedCE(width=8)
    with pytest.raises(ValueError, match="time step"):
        StridedCE(width=WIDTH)(torch.rand(1, 1, 32, WIDTH + 8))


def test_strided_windows_reach_both_ends():
    model = StridedCE().eval()
    columns = torch.zeros(T, 1, model.head.in_features, requires_grad=True)
    for position, ends in ((0, 0), (4, T - 1)):
        (slope,) = torch.autograd.grad(model.gather[0](columns.permute(1, 2, 0))[0, :, position].sum(), columns)
        assert slope[ends].any()


def test_attention_weights_are_shares_and_begin_in_their_place():
    torch.manual_seed(0)
    model = AttentionCE()
    columns = torch.zeros(T, 2, model.head.in_features)
    weights = model.weights(columns)  # (N, positions, T)
    assert weights.shape == (2, 5, T)
    assert torch.allclose(weights.sum(2), torch.ones(2, 5))
    centres = weights[0] @ (torch.arange(T) + 0.5) / T
    assert centres.diff().gt(0).all(), "the queries do not begin from left to right"


def test_attention_learns_to_read_by_order():
    """Symbols at uneven places between empty columns: nothing but a place in the columns tells the second from the third."""
    torch.manual_seed(1)
    model = AttentionCE(classes=5, positions=3)
    optimizer = torch.optim.Adam(model.parameters(), 0.005)
    channels = model.head.in_features
    looks = torch.randn(5, channels)
    for _ in range(200):
        targets = torch.randint(1, 5, (32, 3))
        columns = torch.zeros(24, 32, channels)
        for position in range(3):
            columns[7 * position + torch.randint(1, 4, (32,)), torch.arange(32)] = looks[targets[:, position]]
        logits = model.read(columns)
        loss = nn.functional.cross_entropy(logits.reshape(-1, 5), targets.T.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (logits.argmax(2) == targets.T).float().mean() > 0.95
