import pytest
import torch

from ocrlib import RandomAffine

STILL = {"shift": (0.0, 0.0), "degrees": 0.0, "shear": 0.0, "scale": 0.0}


def corner(n: int = 64) -> torch.Tensor:
    """``n`` times the same image of 32 x 64: a ramp to the right plus ten times a ramp down."""
    ramp = torch.arange(64.0)[None, :] + 10 * torch.arange(32.0)[:, None]
    return ramp.expand(n, 1, 32, 64).contiguous()


def test_nothing_changes_when_all_amounts_are_zero():
    assert torch.allclose(RandomAffine(**STILL)(corner()), corner(), atol=1e-3)


@pytest.mark.parametrize(("amounts", "along_x", "along_y"), [
    ({"shift": (3.0, 0.0)}, 3.0, 0.0),
    ({"shift": (0.0, 2.0)}, 0.0, 2.0),
])  # fmt: skip
def test_shifts_are_in_pixels_and_fill_their_range(amounts, along_x, along_y):
    torch.manual_seed(0)
    changed = RandomAffine(**{**STILL, **amounts})(corner(500))[:, 0, 16, 32] - corner(1)[0, 0, 16, 32]
    most = along_x + 10 * along_y  # what the pixel in the middle changes by at most
    assert 0.95 * most < changed.max() <= most + 1e-3
    assert -most - 1e-3 <= changed.min() < -0.95 * most


@pytest.mark.parametrize(("amounts", "far_right", "far_down"), [
    ({"scale": 0.1}, (0.1 * 16, 0.0), (0.0, 0.1 * 8)),  # 16 right of the middle: up to 1.6 further out; 8 below: 0.8
    ({"shear": 0.2}, (0.0, 0.0), (0.2 * 8, 0.0)),  # 8 below the middle: up to 1.6 sideways
    ({"degrees": 3.0}, (0.0, 0.0524 * 16), (0.0524 * 8, 0.0)),
])  # fmt: skip
def test_other_amounts_move_pixels_by_what_geometry_says(amounts, far_right, far_down):
    """Seen at two pixels, 16 to the right of the middle and 8 below it. The middle is between pixels 15/16 and 31/32."""
    torch.manual_seed(0)
    images = corner(500) - corner(1)[0, 0, 15:17, 31:33].mean()  # 0 in the middle; ramps of 1 along x and 10 along y
    changed = RandomAffine(**{**STILL, **amounts})(images)[:, 0]
    for values, (dx, dy), still in [
        (changed[:, 15:17, 47:49].mean((1, 2)), far_right, 16.0),
        (changed[:, 23:25, 31:33].mean((1, 2)), far_down, 80.0),
    ]:
        most = dx + 10 * dy
        assert (values - still).abs().max() == pytest.approx(most, rel=0.05, abs=1e-2)


def test_each_image_is_changed_by_amounts_of_its_own_and_by_the_seed():
    torch.manual_seed(1)
    first, second = RandomAffine()(corner(8)), RandomAffine()(corner(8))
    assert len({image.sum().item() for image in first}) == 8
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(RandomAffine()(corner(8)), first)


def test_what_comes_in_from_outside_repeats_the_border():
    assert (RandomAffine(shift=(20.0, 10.0))(torch.full((4, 1, 32, 64), 200.0)) - 200).abs().max() < 1e-3
