"""Make CAPTCHA images like those of the data set, with no network and no data folder.

The original images come from kaptcha, a Java library, as it was in 2008 to 2010. This module follows its steps:
draw the glyphs, bend them with a water ring, then with a ripple, draw two noise curves, lay them on a grey
gradient, and save as JPEG. The last step matters: it leaves the faint speckle around the letters.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import Dataset

from ocrlib.synthetic.noise_curves import CURVES, add_noise_curve

# ---------------------------------------------------------------------------------------------------------------
# The constants. Source K: kaptcha's public source code. Source M: measured on the published images.
# Source F: fitted to the average of all published images, without their labels (the noise curves were divided out).
# kaptcha takes each glyph from one of two typefaces at random, a proportional one and one with equal widths: that is
# why there are wide and narrow "m" and "w". Its two look like Lucida, which is not free; two others stand in for them.
WIDTH, HEIGHT = 200, 50  # pixels; K
DRAWN_FROM = "abcde2345678gfynmnpwx"  # K: kaptcha never draws the first symbol, and "n" stands in it twice
SYMBOLS = "2345678bcdefgmnpwxy"  # what is left: the 19 symbols of the data set
FACES = ("DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf")  # ship with matplotlib; half of the glyphs each: K, F
FACE_SIZE = 40  # pixels per em; K
STRETCH_X, STRETCH_Y = (0.965, 1.0), 1.01  # of the two faces, of both; F
THINNING = (0.72, 0.0)  # pixels taken off each side of a stroke, before stretching, for the two faces; F
LEFT, BASELINE = 29.54, 43.14  # pixels: where the first glyph's origin lies, and the line the glyphs stand on; F
GAP = 2  # pixels added to a glyph's ink width (rounded down) to find where the next one begins; K
WATER_CENTRE, WATER_RADIUS = (100, 25), 50  # pixels; K
WATER_AMPLITUDE, WATER_WAVELENGTH, WATER_PHASE = 1.5, 2.0, 10.0  # K
RIPPLE_AMPLITUDE, RIPPLE_WAVELENGTH = (2.6, 1.7), (15.0, 5.0)  # along x, along y; K
DARKEST, LIGHTEST = 192, 255  # grey levels of the background, top left and bottom right; K
JPEG_QUALITY = 75  # M: with it, the empty margins of the published PNGs come out equal, pixel by pixel
# ---------------------------------------------------------------------------------------------------------------

SUPERSAMPLING = 8  # glyphs are drawn this many times larger, then averaged down: smooth edges, no hinting
MARGIN = 8  # pixels kept free around a glyph's origin, for symbols that reach to the left of it


def random_text(rng: np.random.Generator, length: int = 5) -> str:
    """Draw a text the way kaptcha does: "n" twice as often as any other symbol, "a" never."""
    if length < 1:
        raise ValueError(f"A text needs at least one symbol, but length is {length}.")
    # kaptcha's own words: chars[nextInt(chars.length - 1) + 1]. The "+ 1" is why there is no "a".
    return "".join(DRAWN_FROM[1 + i] for i in rng.integers(len(DRAWN_FROM) - 1, size=length))


def render_captcha(
    text: str,
    rng: np.random.Generator,
    curves: bool = True,
    faces: Sequence[int] | None = None,
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
) -> Image.Image:
    """Draw `text` as a CAPTCHA: an image of mode "L", 200 pixels wide and 50 high.

    `rng` draws the typeface of each symbol, from `faces` (indices into FACES; all of them by default), then the two noise
    curves; `curves=False` leaves those out, and nothing else. `change` maps the undistorted ink, (HEIGHT, WIDTH) float32 in
    0..1, to other ink, with `rng` to draw from. Raises ValueError if the text is empty, is too wide, or holds a symbol that
    cannot be drawn.
    """
    chosen = rng.integers(len(FACES) if faces is None else len(faces), size=len(text))
    ink = draw_glyphs(text, chosen if faces is None else [faces[i] for i in chosen])
    if change is not None:
        ink = change(ink, rng)
    clear = 1 - distort(ink)  # (HEIGHT, WIDTH): 1 where the background shows, 0 under full ink
    for fractions in CURVES if curves else ():
        add_noise_curve(clear, fractions, rng.random(4))
    return _through_jpeg(np.rint(background() * clear).astype(np.uint8))


class SyntheticCaptchas(Dataset):
    """`n` generated CAPTCHAs, drawn when asked for: `SyntheticCaptchas(n, seed)[i]` is (PIL image, text).

    Item i depends on `seed` and i alone: not on `n`, nor on the order or the process in which items are asked for.
    No text comes twice.
    """

    def __init__(self, n: int, seed: int = 0):
        most = len(SYMBOLS) ** 5 // 2  # beyond that, looking for texts not drawn yet takes ever longer
        if not 0 <= n <= most:
            raise ValueError(f"n is {n:,}, but a set of distinct texts can hold 0 to {most:,} images.")
        if seed < 0:
            raise ValueError(f"seed is {seed}, but it must be 0 or more.")
        self.seed = seed
        self.texts = _distinct_texts(n, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))))

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no image {index}: this set holds {len(self):,} images, counted from 0.")
        index = range(len(self))[index]  # so that -1 is the last one
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, index)))
        return render_captcha(self.texts[index], rng), self.texts[index]


def _distinct_texts(n: int, rng: np.random.Generator) -> list[str]:
    texts: dict[str, None] = {}  # a dictionary keeps the order
    while len(texts) < n:
        texts.setdefault(random_text(rng))
    return list(texts)


# --- Glyphs ----------------------------------------------------------------------------------------------------


def draw_glyphs(text: str, faces: Sequence[int]) -> np.ndarray:
    """The undistorted text as ink, (HEIGHT, WIDTH) float32, 0 = none to 1 = black. Raises as `render_captcha` does.

    `faces` holds an index into FACES for each symbol. A text that is too wide so is drawn in the last, narrower one.
    """
    glyphs, starts = _lay_out(text, faces)
    canvas = np.zeros((HEIGHT, WIDTH + 2 * MARGIN), np.float32)  # a raster's empty rim may stick out
    for glyph, start in zip(glyphs, starts):
        under = canvas[:, start : start + glyph.ink.shape[1]]
        np.maximum(under, glyph.ink[:, : under.shape[1]], out=under)
    return canvas[:, MARGIN : MARGIN + WIDTH]


def symbol_middles(text: str) -> np.ndarray:
    """``(len(text),)``: the x of the middle of each symbol's ink, undistorted, on average over the typefaces.

    In pixels from the image's left edge: pixel x reaches from x to x + 1.

    Raises as `draw_glyphs` does.
    """
    found = []
    for face in range(len(FACES)):
        glyphs, starts = _lay_out(text, [face] * len(text))
        inked = [np.flatnonzero(glyph.ink.any(axis=0)) for glyph in glyphs]
        found.append([start - MARGIN + (ink[0] + ink[-1] + 1) / 2 for start, ink in zip(starts, inked)])
    return np.mean(found, axis=0)


class _Glyph(NamedTuple):
    ink: np.ndarray  # (HEIGHT, w) float32; the origin lies MARGIN + LEFT % 1 pixels from its left side
    right: float  # pixels from the origin to the end of the ink
    advance: int  # pixels from the origin to the next glyph's


def _lay_out(text: str, faces: Sequence[int]) -> tuple[list[_Glyph], list[int]]:
    """Each symbol's glyph, and the x of its origin."""
    if not text:
        raise ValueError("The text is empty; give at least one symbol.")
    for choice in (faces, [len(FACES) - 1] * len(text)):
        glyphs = [_glyph(symbol, int(face)) for symbol, face in zip(text, choice, strict=True)]
        starts = list(accumulate((glyph.advance for glyph in glyphs), initial=math.floor(LEFT)))
        right = math.ceil(starts[-2] + LEFT % 1 + glyphs[-1].right)
        if right <= WIDTH:
            return glyphs, starts
    raise ValueError(f"The text {text!r} runs off the image: it needs {right} of {WIDTH} pixels. Use fewer symbols.")


@cache
def _glyph(symbol: str, face: int) -> _Glyph:
    from scipy.ndimage import distance_transform_edt  # slow to import, and needed once a symbol

    path, known = _typeface(FACES[face])
    if ord(symbol) not in known:
        raise ValueError(f"The typeface has no symbol {symbol!r} (U+{ord(symbol):04X}). Letters and digits are safe.")
    size = FACE_SIZE * SUPERSAMPLING
    large, origin = Image.new("L", (4 * size, 3 * size)), (size, 2 * size)
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(large).text(origin, symbol, fill=255, font=font, anchor="ls")
    left, top, right, bottom = large.getbbox() or (1, 1, 1, 1)
    around = slice(top - 1, bottom + 1), slice(left - 1, right + 1)  # only there: distances in all of `large` take long
    ink = np.zeros((large.height, large.width), bool)
    ink[around] = distance_transform_edt(np.asarray(large)[around] > 127) > THINNING[face] * SUPERSAMPLING
    columns = np.flatnonzero(ink.any(axis=0))
    if not len(columns):
        raise ValueError(f"The symbol {symbol!r} draws no ink, so nobody could read it. Leave it out.")
    # Averaging over boxes whose sides are no whole numbers stretches a glyph and shifts it by parts of a pixel at once.
    across, down = SUPERSAMPLING / STRETCH_X[face], SUPERSAMPLING / STRETCH_Y  # size of an image's pixel in `large`
    right = (columns[-1] + 1 - origin[0]) / across
    width = MARGIN + math.ceil(right) + 2
    left, top = origin[0] - (MARGIN + LEFT % 1) * across, origin[1] - BASELINE * down
    box = (left, top, left + width * across, top + HEIGHT * down)
    raster = Image.fromarray(ink.astype(np.uint8) * 255).resize((width, HEIGHT), Image.Resampling.BOX, box=box)
    advance = int((columns[-1] + 1 - columns[0]) / across) + GAP
    return _Glyph(np.asarray(raster, np.float32) / 255, right, advance)


@cache
def _typeface(name: str) -> tuple[str, frozenset[int]]:
    """Where a typeface lies, and the code points that it has."""
    import matplotlib  # slow to import, and it only lends its typefaces here
    from matplotlib.ft2font import FT2Font

    path = str(Path(matplotlib.get_data_path(), "fonts", "ttf", name))
    return path, frozenset(FT2Font(path).get_charmap())


# --- Distortion ------------------------------------------------------------------------------------------------


def water_source(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the water ring takes the pixel (x, y) from: rings around the centre, nothing outside the radius."""
    dx, dy = x - WATER_CENTRE[0], y - WATER_CENTRE[1]
    distance = np.maximum(np.hypot(dx, dy), 1e-9)  # the centre itself stays where it is: dx = dy = 0
    amount = WATER_AMPLITUDE * np.sin(2 * np.pi * distance / WATER_WAVELENGTH - WATER_PHASE)
    amount *= np.maximum(WATER_RADIUS - distance, 0) / WATER_RADIUS * WATER_WAVELENGTH / distance
    return x + dx * amount, y + dy * amount


def ripple_source(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the ripple takes the pixel (x, y) from: one sine wave down the image, one across it."""
    shift_x = RIPPLE_AMPLITUDE[0] * np.sin(y / RIPPLE_WAVELENGTH[0])
    return x + shift_x, y + RIPPLE_AMPLITUDE[1] * np.sin(x / RIPPLE_WAVELENGTH[1])


def distort(image: np.ndarray) -> np.ndarray:
    """Apply the water ring, then the ripple, to an image (HEIGHT, WIDTH). Each step samples bilinearly, clamped."""
    for source in (water_source, ripple_source):
        corners, weights = _sampling(source)
        image = np.einsum("cp,cp->p", image.ravel()[corners], weights)
    return image.reshape(HEIGHT, WIDTH)


@cache
def _sampling(source: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The four pixels each pixel is mixed from, and their shares: two arrays (4, HEIGHT * WIDTH)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    x, y = (coordinate.ravel() for coordinate in source(x, y))
    left, top = np.floor(x), np.floor(y)
    corners, weights = [], []
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            corners.append(np.clip(row, 0, HEIGHT - 1) * WIDTH + np.clip(column, 0, WIDTH - 1))
            weights.append(share_x * share_y)
    return np.array(corners, np.intp), np.array(weights, np.float32)


# --- Background and JPEG ---------------------------------------------------------------------------------------


@cache
def background() -> np.ndarray:
    """Grey levels (HEIGHT, WIDTH) of the gradient, in the 256 steps Java makes it of."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    step = 256 * (WIDTH * x + HEIGHT * y) // (WIDTH**2 + HEIGHT**2)
    return (DARKEST + (LIGHTEST - DARKEST) * step // 256).astype(np.float32)


def _through_jpeg(pixels: np.ndarray) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    with Image.open(file) as image:
        image.load()
        return image.copy()  # a plain image: it forgets that it was a JPEG file
