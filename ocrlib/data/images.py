"""Reads one image file as grey pixels.

An opaque 8-bit grey or colour file goes through the steps of the reported experiments: open, resize with Pillow's default
filter, and only then turn grey. A file of another kind is converted first, and a remark says so.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ocrlib.captchas import shrink

SUFFIXES = (".png", ".jpg", ".jpeg")
MIN_SIDE = 8  # pixels; nobody can read five symbols in less
MAX_PIXELS = 4_000_000  # a captcha has 10,000; a small file can claim billions

# Pillow goes by the content, not by the name. With this list it won't run Ghostscript on a renamed PostScript file.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_MODES = {"P": "a palette image", "1": "a 1-bit image", "CMYK": "a CMYK (printing) image"}
_CURE = "Copy or download it again, or move it out of the folder."


class BadImage(ValueError):
    """A file that cannot be read as one small still picture; the message says why and what to do."""


class Picture(NamedTuple):
    """``pixels`` (H, W) uint8, 0 black to 255 white; their `pixel_hash` before resizing; remarks on what was converted."""

    pixels: np.ndarray
    hash: str
    remarks: list[str]


def read_image(path: str | Path, width: int, height: int) -> Picture:
    """Reads an image file and resizes it to ``width`` x ``height`` pixels.

    Raises ``FileNotFoundError``, ``IsADirectoryError`` or ``PermissionError`` when there is no file to read, and ``BadImage``
    (a ``ValueError``) when it is no image, damaged, animated, tiny or enormous.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; one image file was expected. Name a file inside it.")
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path} is a link to a file that is not there. Restore that file, or remove the link.")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_header(path, image)
            image.load()
            image, remarks = to_standard_mode(image)
    except BadImage:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {path}. Check the spelling and the folder.") from error
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read. Ask its owner for permission, or change it (chmod +r).") from error
    except UnidentifiedImageError as error:
        start = path.read_bytes()[:4]
        what = f"no image that can be read here (it begins with {start!r})" if start else "empty (0 bytes)"
        if start[:2] == b"PK":
            what = "a zip archive with an image's name (rename it to .zip and unpack it)"
        raise BadImage(f"{path} is {what}; a PNG or JPEG file was expected. {_CURE}") from error
    except Exception as error:  # a damaged or enormous file can make Pillow's readers raise nearly anything
        raise BadImage(f"{path} is damaged, cut off or too large to be opened ({error}). {_CURE}") from error
    return Picture(shrink(image, width, height), pixel_hash(image), remarks)


def pixel_hash(image: Image.Image) -> str:
    """The first 16 hex digits of the SHA-256 of the grey ("L") pixel bytes at the image's own size, row by row."""
    return hashlib.sha256(image.convert("L").tobytes()).hexdigest()[:16]


def to_standard_mode(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """The image the right way up, in mode L, RGB or opaque RGBA, and remarks on what was converted."""
    remarks = []
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
        remarks.append("marked as rotated (EXIF); turned upright")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255, which would turn nearly every pixel white.
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        image = Image.fromarray(grey)
        remarks.append("16 bits a pixel; the upper 8 were used")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        if colours.getchannel("A").getextrema()[0] < 255:
            # Pixels behind full transparency are mostly stored as black, so black text would vanish.
            white = Image.new("RGBA", colours.size, "white")
            image = Image.alpha_composite(white, colours).convert("RGB")
            remarks.append("transparent parts; laid on white")
    if image.mode not in ("L", "RGB", "RGBA"):
        # Pillow resizes palette and 1-bit images without averaging pixels, so they are converted before resizing.
        mode = "L" if image.mode == "1" else "RGB"
        remarks.append(f"stored as {_MODES.get(image.mode, 'mode ' + image.mode)}; turned into {mode} before resizing")
        image = image.convert(mode)
    return image, remarks


def _check_header(path: Path, image: Image.Image) -> None:
    """Raises ``BadImage`` for a size or a number of frames in the header that won't do, before any pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(
            f"{path} is enormous ({width:,} x {height:,} = {width * height:,} pixels); at most {MAX_PIXELS:,} were expected. "
            "Shrink it with an image program if you trust it, or move it out of the folder."
        )
    if min(width, height) < MIN_SIDE:
        expected = f"a captcha of at least {MIN_SIDE} pixels a side was expected (the published ones have 200 x 50)"
        raise BadImage(f"{path} is {width} x {height} pixels; {expected}. {_CURE}")
    if (frames := getattr(image, "n_frames", 1)) > 1:
        cure = "Save the frame that shows the text as a PNG file."
        raise BadImage(f"{path} is an animation of {frames} frames; one still picture was expected. {cure}")
