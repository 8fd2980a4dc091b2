"""From a picture of any kind to grey pixels of one size: modes, transparency, light text on dark, stretching or padding."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image, ImageFilter, ImageOps

from ocrlib.captchas import shrink

FITS = ("stretch", "pad")
POLARITIES = ("keep", "auto", "invert")
FAINT = 5.0  # grey levels of standard deviation: whatever is written there can't be told from noise
DISTORTED = 2.5  # times wider or higher: the published images keep their share of 200 x 50 within 1.6
_MODES = {"P": "a palette image", "1": "a 1-bit image", "CMYK": "a CMYK (printing) image"}
_SKEWED = 0.6  # of grey levels about their surroundings; tight bold text stays below 0.6 either way, plain text above
_FILLED = 0.35  # of the rows; published images padded to a square fill up to 0.31, serial numbers at least 0.40


def to_standard_mode(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """The image the right way up, in mode L, RGB or opaque RGBA, and remarks on what was converted."""
    remarks = []
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
        remarks.append("marked as rotated (EXIF); turned upright")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255, which would turn nearly every pixel white.
        deep = np.asarray(image).astype(np.int64)
        bits = 8 if deep.max() < 2**8 else 12 if deep.max() < 2**12 else 16  # what cameras and scanners store in 16
        image = Image.fromarray(np.clip(deep >> bits - 8, 0, 255).astype(np.uint8))
        remarks.append(f"16 bits a pixel; the upper 8 {'' if bits == 16 else f'of the lower {bits} '}were used")
    if image.mode == "F":
        image = Image.fromarray(grey_of_floats(np.asarray(image)))
        remarks.append("floating-point pixels; turned into 8 bits")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        if colours.getchannel("A").getextrema()[0] < 255:
            image, ground = _lay_on_ground(colours)
            cure = '; polarity="auto" makes it dark on light' if ground == "black" else ""
            remarks.append(f"transparent parts; laid on {ground}{cure}")
    if image.mode not in ("L", "RGB", "RGBA"):
        # Pillow resizes palette and 1-bit images without averaging pixels, so they are converted before resizing.
        mode = "L" if image.mode == "1" else "RGB"
        remarks.append(f"stored as {_MODES.get(image.mode, 'mode ' + image.mode)}; turned into {mode} before resizing")
        image = image.convert(mode)
    return image, remarks


def grey_of_floats(values: np.ndarray) -> np.ndarray:
    """Floats 0 to 1, or 0 to 255, as uint8. Raises ``ValueError`` for other ranges, and for what is no number."""
    low, high = float(values.min()), float(values.max())
    if not (0 <= low and high <= 255):  # not a number either
        raise ValueError(f"pixels from {low:g} to {high:g}; 0 to 1 or 0 to 255 (0 black) were expected: scale them")
    return (values * 255 if high <= 1 else values).round().astype(np.uint8)


def _lay_on_ground(image: Image.Image) -> tuple[Image.Image, str]:
    """An "RGBA" image on white or black, and which of them.

    Where most of it is transparent, what can be seen is writing: light writing is laid on black, other writing on white.
    Where most can be seen, that is a ground already, with writing on it: what is added takes the ground's side.
    """
    alpha = np.asarray(image.getchannel("A"), dtype=float)
    if not alpha.any():
        return Image.new("RGB", image.size, "white"), "white: nothing in them can be seen"
    # Pixels behind full transparency are mostly stored as black: they must not count.
    grey = np.average(np.asarray(image.convert("RGB").convert("L")), weights=alpha)
    is_writing = alpha.mean() < 128
    ground = "black" if (grey > 127) == is_writing else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB"), ground


def ink_side(pixels: np.ndarray) -> int:
    """Grey pixels (H, W) uint8: -1 dark writing on a light ground, 1 light writing on a dark ground, 0 can't be told.

    Writing is the smaller share of what surrounds it, so grey levels about their local mean are skewed to its side. Where bold
    letters fill half of a tight crop, the gaps between them show the ground.
    """
    around = np.asarray(Image.fromarray(pixels).filter(ImageFilter.BoxBlur(12)), dtype=float)
    levels = pixels - around
    levels -= levels.mean()
    spread = levels.std()
    if spread < 2:
        return 0
    skewness = (levels**3).mean() / spread**3
    if abs(skewness) > _SKEWED:
        return int(np.sign(skewness))
    low, high = np.percentile(pixels, [2, 98])
    gaps = pixels[:, np.ptp(pixels, axis=0) < (high - low) / 4]
    side = np.sign((low + high) / 2 - gaps.mean(0)).mean() if gaps.size else 0
    return int(np.sign(side)) if abs(side) > 0.5 else 0


def with_polarity(pixels: np.ndarray, polarity: str) -> np.ndarray:
    """Grey pixels (H, W) uint8 as they are ("keep"), with light and dark swapped ("invert"), or dark on light ("auto").

    "auto" swaps light and dark where `ink_side` finds light writing on dark. Raises ``ValueError`` for another word.
    """
    if polarity not in POLARITIES:
        raise ValueError(f"polarity={polarity!r}; one of {POLARITIES} was expected.")
    return 255 - pixels if polarity == "invert" or (polarity == "auto" and ink_side(pixels) > 0) else pixels


def fit_pixels(image: Image.Image, width: int, height: int, fit: str, polarity: str) -> tuple[np.ndarray, int, list[str]]:
    """An image in standard mode as grey pixels (height, width) uint8, how many columns of them show it, and remarks.

    ``fit="stretch"`` fills the width. ``"pad"`` keeps the aspect ratio and fills up on the right with the ground's grey.
    ``polarity`` is explained at `with_polarity`.
    """
    remarks = []
    natural = max(round(image.width * height / image.height), 1)
    shown = min(natural, width) if fit == "pad" else width
    pixels = shrink(image, shown, height)
    if natural > (1.1 if fit == "pad" else DISTORTED) * width:
        cure = "load wider images, or crop them" if fit == "pad" else 'crop it to its text, load wider images, or take fit="pad"'
        remarks.append(f"too wide for {width} x {height} pixels, so its text is squeezed; {cure}")
    if shown > 1.5 * natural and has_wide_margins(pixels):
        remarks.append("wide margins above and below (padded to a square?), so its text is squeezed; crop it to its text")
    elif shown > DISTORTED * natural:
        cure = 'crop it to its text, or take fit="pad"'
        remarks.append(f"much narrower than {width} x {height} pixels, so it is stretched; {cure}")
    if pixels.std() < FAINT:
        remarks.append("hardly anything in it can be seen")
    if polarity == "auto" and not ink_side(pixels):
        remarks.append('not plainly dark on light or light on dark, so left as it is; polarity="invert" turns it')
    pixels = with_polarity(pixels, polarity)
    if shown < width:
        padding = np.full((height, width - shown), ground_of(pixels), np.uint8)
        pixels = np.concatenate([pixels, padding], axis=1)
    return pixels, shown, remarks


def ground_of(pixels: np.ndarray) -> int:
    """The grey of the ground: the median along the border."""
    border = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    return int(np.median(np.concatenate(border)))


def has_wide_margins(pixels: np.ndarray) -> bool:
    """Whether grey levels differ in so few rows of the pixels (H, W) that the image was probably padded to a square."""
    rows = np.flatnonzero(np.ptp(pixels, axis=1) > 24)
    return len(rows) > 0 and rows[-1] - rows[0] + 1 < _FILLED * len(pixels)
