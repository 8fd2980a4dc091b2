"""The generator: CAPTCHA images like those of the published data set. It needs neither a network nor a data folder.

The published images were made by kaptcha, a Java library, in its version of 2008 to 2010. This module does the same
steps: draw the glyphs, distort them with a water ring and then with a ripple, draw two noise curves, put a grey gradient
behind them, and save as JPEG. The last step matters: JPEG leaves the faint speckle around the letters.

Each constant below names its source. K: kaptcha's public source code. M: measured on the published images. F: fitted to
the mean of all published images, with the noise curves divided out; no label was used.
"""

import io
import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import Dataset

from ocrlib.synthetic.noise_curves import CURVES, add_noise_curve

WIDTH, HEIGHT = 200, 50  # pixels; K
DRAWN_FROM = "abcde2345678gfynmnpwx"  # K: kaptcha never draws the first symbol, and "n" stands in it twice
SYMBOLS = "2345678bcdefgmnpwxy"  # so these remain: the 19 symbols of the data set
# kaptcha draws each glyph in one of two typefaces, chosen at random: a proportional one and one with equal widths. That is
# why there are wide and narrow "m" and "w". Its typefaces look like Lucida, which is not free; matplotlib's replace them.
FACES = ("DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf")  # each draws half of the glyphs: K, F
FACE_SIZE = 40  # pixels per em; K
STRETCH_X, STRETCH_Y = (0.965, 1.0), 1.01  # of the two faces, of both; F
THINNING = (0.72, 0.0)  # pixels removed from each side of a stroke, before stretching, for the two faces; F
LEFT, BASELINE = 29.54, 43.14  # pixels: x of the first glyph's origin, y of the line on which the glyphs stand; F
GAP = 2  # pixels added to a glyph's ink width (rounded down) to find where the next one begins; K
WATER_CENTRE, WATER_RADIUS = (100, 25), 50  # pixels; K
WATER_AMPLITUDE, WATER_WAVELENGTH, WATER_PHASE = 1.5, 2.0, 10.0  # K
RIPPLE_AMPLITUDE, RIPPLE_WAVELENGTH = (2.6, 1.7), (15.0, 5.0)  # along x, along y; K
DARKEST, LIGHTEST = 192, 255  # grey levels of the background, top left and bottom right; K
JPEG_QUALITY = 75  # M: with this value the empty margins equal those of the published PNGs, pixel by pixel
SUPERSAMPLING = 8  # glyphs are drawn this many times larger, then averaged down: smooth edges, no hinting
MARGIN = 8  # pixels kept free on the left of a glyph's origin, for symbols that reach beyond it


def random_text(rng: np.random.Generator, length: int = 5) -> str:
    """A random text, drawn as kaptcha draws it: "n" twice as often as any other symbol, "a" never.

    Raises ``ValueError`` for a length below 1.
    """
    if length < 1:
        raise ValueError(f"A text needs at least one symbol, but length is {length}.")
    # kaptcha's own code: chars[nextInt(chars.length - 1) + 1]. Because of the "+ 1" there is no "a".
    return "".join(DRAWN_FROM[1 + i] for i in rng.integers(len(DRAWN_FROM) - 1, size=length))


def render_captcha(
    text: str, rng: np.random.Generator, curves: bool = True, faces: Sequence[int] | None = None, change: Callable | None = None,
    water: bool = True,
) -> Image.Image:  # fmt: skip
    """Draw ``text`` as a CAPTCHA: an image of mode "L", 200 pixels wide and 50 high.

    ``rng`` chooses the typeface of each symbol among ``faces`` (indices into FACES; by default all), then the two noise
    curves. ``curves=False`` leaves out the curves and changes nothing else, ``water=False`` the water ring. ``change(ink, rng)``
    returns the ink to use in place of the undistorted ink ``(HEIGHT, WIDTH)`` float32, 0 to 1. Raises ``ValueError`` if the
    text is empty or too wide, or if it holds a symbol that cannot be drawn.
    """
    chosen = rng.integers(len(FACES) if faces is None else len(faces), size=len(text))
    ink = draw_glyphs(text, chosen if faces is None else [faces[i] for i in chosen])
    if change is not None:
        ink = change(ink, rng)
    clear = 1 - distort(ink, water)  # (HEIGHT, WIDTH): 1 where the background is seen, 0 where the ink is black
    for fractions in CURVES if curves else ():
        add_noise_curve(clear, fractions, rng.random(4))
    file = io.BytesIO()
    Image.fromarray(np.rint(background() * clear).astype(np.uint8)).save(file, "JPEG", quality=JPEG_QUALITY)
    return Image.open(file).copy()  # an `Image`, not a `JpegImageFile`


def image_rng(seed: int, index: int) -> np.random.Generator:
    """The random numbers for one image of a generated data set: they depend on the seed and the image's index alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, index)))


class SyntheticCaptchas(Dataset):
    """``n`` generated CAPTCHAs with different texts: ``SyntheticCaptchas(n, seed)[i]`` is (PIL image, text).

    An item is drawn when it is asked for. Item i depends on ``seed`` and i alone: not on ``n``, nor on the order or the
    process in which items are asked for. Raises ``ValueError`` for an impossible ``n`` or ``seed``.
    """

    def __init__(self, n: int, seed: int = 0) -> None:
        most = len(SYMBOLS) ** 5 // 2  # with more texts, drawing a new one takes too many tries
        if not 0 <= n <= most:
            raise ValueError(f"n is {n:,}, but a set of distinct texts can hold 0 to {most:,} images.")
        if seed < 0:
            raise ValueError(f"seed is {seed}, but it must be 0 or more.")
        rng, texts = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))), {}
        while len(texts) < n:
            texts.setdefault(random_text(rng))  # a dictionary keeps the order
        self.seed, self.texts = seed, list(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no image {index}: this set holds {len(self):,} images, counted from 0.")
        index = range(len(self))[index]  # so that -1 is the last one
        return render_captcha(self.texts[index], image_rng(self.seed, index)), self.texts[index]


def draw_glyphs(text: str, faces: Sequence[int]) -> np.ndarray:
    """The undistorted text as ink ``(HEIGHT, WIDTH)`` float32, 0 (none) to 1 (black): `draw_symbols` in one image."""
    return draw_symbols(text, faces).max(0)


def draw_symbols(text: str, faces: Sequence[int]) -> np.ndarray:
    """The undistorted ink of each symbol in its place, ``(len(text), HEIGHT, WIDTH)`` float32, 0 (none) to 1 (black).

    ``faces`` holds an index into FACES for each symbol. If the text is too wide in these, all of it is drawn in the last
    face, which is narrower. Raises ``ValueError`` as `render_captcha` does.
    """
    if not text:
        raise ValueError("The text is empty; give at least one symbol.")
    for choice in (faces, [len(FACES) - 1] * len(text)):
        inks, ends, advances = zip(*(_glyph(symbol, int(face)) for symbol, face in zip(text, choice, strict=True)))
        starts = list(accumulate(advances, initial=math.floor(LEFT)))  # x of each origin, rounded down
        right = math.ceil(starts[-2] + LEFT % 1 + ends[-1])
        if right <= WIDTH:
            break
    else:
        raise ValueError(f"The text {text!r} runs off the image: it needs {right} of {WIDTH} pixels. Use fewer symbols.")
    canvas = np.zeros((len(text), HEIGHT, WIDTH + 2 * MARGIN), np.float32)
    for layer, ink, start in zip(canvas, inks, starts):
        place = layer[:, start : start + ink.shape[1]]
        place[:] = ink[:, : place.shape[1]]  # only columns without ink can lie outside the canvas
    return canvas[:, :, MARGIN : MARGIN + WIDTH]


def symbol_middles(text: str) -> np.ndarray:
    """``(len(text),)``: the x of the middle of each symbol's undistorted ink, as a mean over the typefaces.

    In pixels from the image's left edge: pixel x reaches from x to x + 1. Raises as `draw_symbols` does.
    """
    inked = np.array([draw_symbols(text, [face] * len(text)).any(1) for face in range(len(FACES))])  # (faces, symbols, WIDTH)
    first, end = inked.argmax(2), WIDTH - inked[:, :, ::-1].argmax(2)
    return ((first + end) / 2).mean(0)


@cache
def _glyph(symbol: str, face: int) -> tuple[np.ndarray, float, int]:
    """A symbol's ink, and the distances in pixels from its origin to the end of the ink and to the next symbol's origin.

    The ink is ``(HEIGHT, w)`` float32; the origin lies MARGIN + LEFT % 1 pixels right of its left edge.
    """
    from matplotlib.ft2font import FT2Font  # here, because both are slow to import
    from scipy.ndimage import distance_transform_edt

    path = typeface(FACES[face])
    if not FT2Font(path).get_char_index(ord(symbol)):
        raise ValueError(f"The typeface has no symbol {symbol!r} (U+{ord(symbol):04X}). Letters and digits are safe.")
    size = FACE_SIZE * SUPERSAMPLING
    large, origin = Image.new("L", (4 * size, 3 * size)), (size, 2 * size)
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(large).text(origin, symbol, fill=255, font=font, anchor="ls")
    left, top, right, bottom = large.getbbox() or (1, 1, 1, 1)
    around = slice(top - 1, bottom + 1), slice(left - 1, right + 1)  # distances in all of `large` would take long
    ink = np.zeros((large.height, large.width), bool)
    ink[around] = distance_transform_edt(np.asarray(large)[around] > 127) > THINNING[face] * SUPERSAMPLING
    columns = np.flatnonzero(ink.any(axis=0))
    if not len(columns):
        raise ValueError(f"The symbol {symbol!r} draws no ink, so nobody could read it. Leave it out.")
    # Each pixel of the raster is the mean of a box in `large`. Its sides need not be whole numbers: this one step stretches
    # the glyph and moves it by fractions of a pixel.
    across, down = SUPERSAMPLING / STRETCH_X[face], SUPERSAMPLING / STRETCH_Y  # the box's width and height
    right = (columns[-1] + 1 - origin[0]) / across
    width = MARGIN + math.ceil(right) + 2
    left, top = origin[0] - (MARGIN + LEFT % 1) * across, origin[1] - BASELINE * down
    box = (left, top, left + width * across, top + HEIGHT * down)
    raster = Image.fromarray(ink.astype(np.uint8) * 255).resize((width, HEIGHT), Image.Resampling.BOX, box=box)
    advance = int((columns[-1] + 1 - columns[0]) / across) + GAP
    return np.asarray(raster, np.float32) / 255, right, advance


def typeface(name: str) -> str:
    """The path of a font file that matplotlib ships."""
    import matplotlib  # here, because it is slow to import

    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", name))


def water_source(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place from which the water ring takes pixel (x, y): rings around the centre, no change outside the radius."""
    dx, dy = x - WATER_CENTRE[0], y - WATER_CENTRE[1]
    distance = np.maximum(np.hypot(dx, dy), 1e-9)  # the centre itself stays where it is: dx = dy = 0
    amount = WATER_AMPLITUDE * np.sin(2 * np.pi * distance / WATER_WAVELENGTH - WATER_PHASE)
    amount *= np.maximum(WATER_RADIUS - distance, 0) / WATER_RADIUS * WATER_WAVELENGTH / distance
    return x + dx * amount, y + dy * amount


def ripple_source(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place from which the ripple takes pixel (x, y): one sine wave along x, one along y."""
    (wide, high), (wave_y, wave_x) = RIPPLE_AMPLITUDE, RIPPLE_WAVELENGTH
    return x + wide * np.sin(y / wave_y), y + high * np.sin(x / wave_x)


def distort(image: np.ndarray, water: bool = True) -> np.ndarray:
    """Apply the water ring, unless ``water=False``, then the ripple, to an image ``(HEIGHT, WIDTH)``.

    Each of the two steps interpolates bilinearly. Beyond the edges the image goes on with its edge pixels.
    """
    for source in (water_source, ripple_source) if water else (ripple_source,):
        corners, weights = _sampling(source)
        image = np.einsum("cp,cp->p", image.ravel()[corners], weights)
    return image.reshape(HEIGHT, WIDTH)


@cache
def _sampling(source: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The four pixels from which each pixel is interpolated, and their weights: two arrays ``(4, HEIGHT * WIDTH)``."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    x, y = (coordinate.ravel() for coordinate in source(x, y))
    left, top = np.floor(x), np.floor(y)
    corners, weights = [], []
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            corners.append(np.clip(row, 0, HEIGHT - 1) * WIDTH + np.clip(column, 0, WIDTH - 1))
            weights.append(share_x * share_y)
    return np.array(corners, np.intp), np.array(weights, np.float32)


@cache
def background() -> np.ndarray:
    """Grey levels ``(HEIGHT, WIDTH)`` float32 of the background's gradient. Java draws it in 256 steps."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    step = 256 * (WIDTH * x + HEIGHT * y) // (WIDTH**2 + HEIGHT**2)
    return (DARKEST + (LIGHTEST - DARKEST) * step // 256).astype(np.float32)
