"""The generator: the same images for a seed, and each step of kaptcha's method by itself."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from ocrlib.synthetic import generator
from ocrlib.synthetic.generator import (
    HEIGHT,
    SYMBOLS,
    WIDTH,
    SyntheticCaptchas,
    draw_glyphs,
    draw_symbols,
    random_text,
    render_captcha,
    symbol_middles,
)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def captchas() -> SyntheticCaptchas:
    return SyntheticCaptchas(60, seed=5)


def test_an_item_depends_on_seed_and_index_alone(captchas):
    in_order = [(pixels(image), text) for image, text in captchas]
    larger = SyntheticCaptchas(90, seed=5)
    for i in (59, 0, 31, 0):
        image, text = larger[i]
        assert text == in_order[i][1]
        assert np.array_equal(pixels(image), in_order[i][0])


def test_another_seed_gives_other_texts_and_other_curves(captchas):
    other = SyntheticCaptchas(60, seed=6)
    assert not set(captchas.texts[:20]) & set(other.texts[:20])
    assert not np.array_equal(pixels(render_captcha("n", rng(1))), pixels(render_captcha("n", rng(2))))


def test_items_do_not_share_their_noise_curves(captchas):
    # Columns 19 to 26 hold no glyph, only the beginning of both curves: no two images may agree there.
    assert len({pixels(image)[:, 19:27].tobytes() for image, _ in captchas}) == len(captchas)


def test_texts_are_distinct_even_where_chance_would_repeat_them():
    texts = SyntheticCaptchas(5000, seed=1).texts  # 5,000 independent draws repeat about five of them
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(0,)))
    assert len({random_text(rng) for _ in range(5000)}) < 5000
    assert len(texts) == len(set(texts)) == 5000
    assert all(len(text) == 5 and set(text) <= set(SYMBOLS) for text in texts)


def test_iteration_ends_and_indexing_is_that_of_a_sequence(captchas):
    assert len(list(captchas)) == len(captchas) == 60
    assert captchas[-1][1] == captchas[59][1]
    for index in (60, -61):
        with pytest.raises(IndexError, match=rf"{index}.*60 images"):
            captchas[index]


@pytest.mark.parametrize(("n", "seed", "message"), [(-1, 0, "n is -1"), (10**7, 0, "n is 10,000,000"), (3, -2, "seed is -2")])
def test_impossible_sets_are_refused(n, seed, message):
    with pytest.raises(ValueError, match=message):
        SyntheticCaptchas(n, seed)


def test_n_is_twice_as_common_and_a_never_comes():
    draws = 40_000
    counts = Counter(random_text(rng(42), draws))
    assert set(counts) == set(SYMBOLS)  # so no "a"
    for symbol in SYMBOLS:
        share = 0.10 if symbol == "n" else 0.05
        spread = (draws * share * (1 - share)) ** 0.5
        assert abs(counts[symbol] - draws * share) < 4.5 * spread, symbol


def test_length_is_kept_and_must_be_positive():
    assert len(random_text(rng())) == 5
    assert len(random_text(rng(), 3)) == 3
    with pytest.raises(ValueError, match="length is 0"):
        random_text(rng(), 0)


@pytest.mark.parametrize("text", ["n", "2b", "f4fn2", "m" * 5, "w" * 5, "345678b", "AQ9"])
def test_every_text_is_drawn_at_the_size_of_the_originals(text):
    image = render_captcha(text, rng(len(text)))
    assert (image.mode, image.size) == ("L", (200, 50))
    assert type(image) is Image.Image  # not a JPEG file any more
    assert pixels(image)[11:43, 33:45].min() < 30  # black ink where the first glyph stands


def test_corners_show_the_background_of_the_formula(captchas):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    formula = 192 + 63 * (200 * x + 50 * y) / 42500
    for image, _ in captchas:
        for margin in (slice(0, 14), slice(192, 200)):  # no ink comes there
            # Java rounds down, twice (so the formula is at most 1.25 too bright), and JPEG adds 1 either way.
            difference = pixels(image)[:, margin] - formula[:, margin]
            assert -2.25 < difference.min() < difference.max() < 1.01


def test_the_empty_margin_equals_the_published_images_exactly():
    # The first eight pixels of rows 0 and 49, as every published PNG has them.
    top, bottom = pixels(render_captcha("n", rng()))[[0, 49], :8]
    assert top.tolist() == [192, 192, 192, 193, 193, 194, 194, 194]
    assert bottom.tolist() == [195, 195, 195, 196, 196, 197, 197, 197]


def test_jpeg_is_the_last_step():
    # No earlier step makes anything brighter than the background; JPEG leaves bright pixels around the letters.
    assert (pixels(render_captcha("8", rng())) - generator.background()).max() > 5


def test_each_symbol_takes_one_of_two_typefaces_at_random(monkeypatch):
    drawn = []
    monkeypatch.setattr(generator, "draw_glyphs", lambda text, faces: drawn.extend(faces) or draw_glyphs(text, faces))
    for seed in range(40):
        render_captcha("mmmmm", rng(seed))
    assert set(drawn) == {0, 1}
    assert 65 <= sum(drawn) <= 135  # of 200; the mean is 100, the standard deviation 7
    assert draw_glyphs("m", [0]).any(axis=0).sum() > 1.3 * draw_glyphs("m", [1]).any(axis=0).sum()


def test_the_next_glyph_begins_after_the_ink_and_a_gap():
    one, two = draw_glyphs("n", [0]), draw_glyphs("nn", [0, 0])
    [shift] = [k for k in range(15, 35) if np.allclose(two, np.maximum(one, np.pad(one, ((0, 0), (k, 0)))[:, :WIDTH]))]
    assert 20 <= shift - 2 <= 21  # the ink width of an original "n"


def test_the_text_begins_and_stands_where_the_originals_do():
    ink = draw_glyphs("n", [0])
    columns, rows = np.flatnonzero((ink > 0.5).any(axis=0)), np.flatnonzero((ink > 0.5).any(axis=1))
    assert 31 <= columns[0] <= 34
    assert 20 <= rows[0] <= 21
    assert rows[-1] in (41, 42)


def test_a_text_too_wide_in_the_drawn_faces_takes_the_narrow_one():
    assert np.array_equal(draw_glyphs("mmmmmmm", [0] * 7), draw_glyphs("mmmmmmm", [1] * 7))


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("b c", "' ' draws no ink"), ("ab\u4e00", "U\\+4E00"), ("m" * 12, "'mmmmmmmmmmmm' runs off the image")],
)
def test_texts_that_cannot_be_drawn_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        render_captcha(text, rng())


def test_outside_the_water_circle_only_the_ripple_is_left():
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    outside = np.hypot(x - 100, y - 25) >= 50
    sx, sy = generator.water_source(x, y)
    assert np.array_equal(sx[outside], x[outside]) and np.array_equal(sy[outside], y[outside])
    assert np.hypot(sx - x, sy - y)[~outside].max() > 1

    image = rng(3).random((HEIGHT, WIDTH)).astype(np.float32)
    source_y, source_x = y + 1.7 * np.sin(x / 5), x + 2.6 * np.sin(y / 15)
    expected = map_coordinates(image, [source_y, source_x], order=1, mode="nearest")
    far = np.hypot(source_x - 100, source_y - 25) > 52  # also the four pixels that are mixed lie outside
    assert np.allclose(generator.distort(image)[far], expected[far], atol=1e-5)


def test_inside_water_comes_first_then_the_ripple():
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    distance = np.maximum(np.hypot(x - 100, y - 25), 1e-9)
    amount = np.where(distance < 50, 1.5 * np.sin(np.pi * distance - 10) * (50 - distance) / 50 * 2 / distance, 0)
    image = rng(4).random((HEIGHT, WIDTH)).astype(np.float32)
    water = map_coordinates(image, [y + (y - 25) * amount, x + (x - 100) * amount], order=1, mode="nearest")
    both = map_coordinates(water, [y + 1.7 * np.sin(x / 5), x + 2.6 * np.sin(y / 15)], order=1, mode="nearest")
    assert np.allclose(generator.distort(image), both, atol=1e-4)


def test_without_water_the_whole_image_has_the_ripple_only():
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    image = rng(4).random((HEIGHT, WIDTH)).astype(np.float32)
    ripple = map_coordinates(image, [y + 1.7 * np.sin(x / 5), x + 2.6 * np.sin(y / 15)], order=1, mode="nearest")
    assert np.allclose(generator.distort(image, water=False), ripple, atol=1e-5)
    assert not np.array_equal(*(pixels(render_captcha("m", rng(1), water=water)) for water in (True, False)))


def test_the_noise_curves_are_drawn_after_the_distortion(monkeypatch):
    bent = []
    distort = generator.distort
    monkeypatch.setattr(generator, "FACES", generator.FACES[:1])  # so that the glyphs do not depend on the seed
    monkeypatch.setattr(generator, "distort", lambda image, water: bent.append(image.copy()) or distort(image, water))
    first, second = (pixels(render_captcha("x", rng(seed))) for seed in (1, 2))
    assert np.array_equal(*bent)  # what is bent holds no curve yet
    assert not np.array_equal(first, second)


def test_packages_that_are_slow_to_import_are_imported_only_where_they_are_used():
    files = {file.name: file for file in Path(generator.__file__).parent.glob("*.py")}
    del files["fonts.py"]  # it is about matplotlib's figures, and `ocrlib.plots` alone imports it
    for file in files.values():
        imports = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith(("import ", "from "))]
        assert not [line for line in imports if "matplotlib" in line or "scipy" in line], file.name


def test_the_same_seed_gives_the_pixels_it_always_gave():
    """Pillow draws and bends them. Versions 10.3 to 13.0 were tried: all give the same pixels."""
    digest = hashlib.sha256()
    for image, _ in SyntheticCaptchas(200, seed=3):
        digest.update(image.tobytes())
    assert digest.hexdigest()[:16] == "7df29de2a0aff162"


@pytest.mark.parametrize("text", ["d", "mn25y"])
def test_a_symbols_middle_is_that_of_its_ink(text):
    edges = [np.flatnonzero(ink.any(axis=0)) for face in (0, 1) for ink in draw_symbols(text, [face] * len(text))]
    middles = np.reshape([(edge[0] + edge[-1] + 1) / 2 for edge in edges], (2, len(text)))
    assert symbol_middles(text).tolist() == middles.mean(0).tolist()


def test_symbols_alone_are_the_text_in_parts():
    parts = draw_symbols("mn2", [0, 1, 0])
    assert parts.shape == (3, HEIGHT, WIDTH)
    assert np.array_equal(parts[:2].max(0), draw_glyphs("mn", [0, 1]))
