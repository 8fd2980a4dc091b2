"""Reads one image as grey pixels: a file, its bytes, a picture of Pillow's or an array.

An opaque 8-bit grey or colour file goes through the steps of the reported experiments: open, resize with Pillow's default
filter, and only then turn grey. A file of another kind is converted first (`ocrlib.data.pixels`), and a remark says so.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFile, UnidentifiedImageError
from torch import Tensor

from ocrlib.captchas import Captchas, to_tensor
from ocrlib.data.checks import as_captchas
from ocrlib.data.pixels import FITS, POLARITIES, fit_pixels, grey_of_floats, to_standard_mode, with_polarity
from ocrlib.networks import HEIGHT
from ocrlib.runtime import Remark
from ocrlib.texts import first_few

SUFFIXES = (".png", ".jpg", ".jpeg")
ALL_SUFFIXES = (*SUFFIXES, ".webp", ".gif", ".bmp", ".tif", ".tiff", ".jfif", ".mpo")
MIN_SIDE = 8  # pixels; nobody can read five symbols in less
MAX_SIDE = 4096  # pixels to resize to, and frames; more is mistyped
MAX_PIXELS = 4_000_000  # a captcha has 10,000; a small file can claim billions

# Pillow goes by the content, not by the name. With this list it won't run Ghostscript on a renamed PostScript file.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_CURE = "Copy or download it again, or move it out of the folder."

Readable = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray  # a file, its bytes, or a picture


class BadImage(ValueError):
    """An image that cannot be read as one small still picture; the message says why and what to do."""


class Picture(NamedTuple):
    """``pixels`` (H, W) uint8, 0 black to 255 white; their `pixel_hash` before resizing; remarks on what was converted;
    how many columns, from the left, show the image (the others are padding); and its own (width, height), upright."""

    pixels: np.ndarray
    hash: str
    remarks: list[str]
    shown: int
    size: tuple[int, int]


class _WholeImagesOnly:
    """Turns Pillow's switch LOAD_TRUNCATED_IMAGES off while any thread is in here, and then back to what it was.

    With the switch on, which another cell may have wanted, half an image would load with grey in place of its other half.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_whole_images_only = _WholeImagesOnly()


def read_image(
    image: Readable, width: int, height: int, *, fit: str = "stretch", polarity: str = "keep", frame: int | None = None,
    name: str = "the image",
) -> Picture:  # fmt: skip
    """Reads an image and brings it to ``width`` x ``height`` pixels, as `ocrlib.data.pixels.fit_pixels` says.

    ``image`` is a file's path, a file's bytes, an open binary file, a picture (PIL.Image) or an array: (H, W) grey, (H, W, 3)
    red, green, blue, or (H, W, 4) with opacity, of whole numbers 0 to 255 or floats 0 to 1. ``frame`` (from 0) chooses from a
    file of several frames or pages; without it an animation is refused, and of TIFF and of a phone's MPO the first is read.
    ``name`` is what errors call an image without a path.

    Raises ``FileNotFoundError``, ``IsADirectoryError`` or ``PermissionError`` when there is no file to read, ``BadImage``
    (a ``ValueError``) when it is no image, damaged, animated, tiny or enormous, and ``ValueError`` for wrong arguments.
    """
    check_options(width, height, fit, polarity, frame)
    if isinstance(image, (str, os.PathLike)):
        name = os.fspath(image)
        opened, remarks = _open(_path(Path(image)), name, frame)
    elif isinstance(image, (bytes, bytearray, memoryview)) or hasattr(image, "read"):
        opened, remarks = _open(io.BytesIO(_content(image)), name, frame)
    elif isinstance(image, Image.Image) or hasattr(image, "__array__"):
        if frame is not None:
            raise ValueError(f"frame={frame} is for files: of {name} the frame must be chosen before (image.seek({frame})).")
        opened, remarks = _standard(image, name)
    else:
        what = type(image).__name__
        raise ValueError(f"A file's path, its bytes, a picture (PIL.Image) or an array was expected for {name}, got {what}.")
    pixels, shown, more = fit_pixels(opened, width, height, fit, polarity)
    return Picture(pixels, pixel_hash(opened), [*remarks, *more], shown, opened.size)


def read_images(
    images: Readable | Iterable[Readable], width: int, height: int, **options: object
) -> tuple[list[Picture], list[str]]:
    """The pictures of one or several images, and remarks on them, each with the first names. Options and errors: `read_image`.

    An array of three axes is one picture if its last axis has 3 or 4 values; other ones are stacks of pictures.
    """
    one = isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)) or hasattr(images, "read")
    if hasattr(images, "__array__") and not one:
        one = images.ndim == 2 or (images.ndim == 3 and images.shape[2] in (1, 3, 4))
    listed = [images] if one or not isinstance(images, Iterable) else list(images)
    names = [os.fspath(image) if isinstance(image, (str, os.PathLike)) else "the image" if len(listed) == 1 else f"images[{i}]"
             for i, image in enumerate(listed)]  # fmt: skip
    pictures = [read_image(image, width, height, name=name, **options) for image, name in zip(listed, names)]
    return pictures, remarks_on(names, pictures)


def as_pixels(
    images: Readable | Iterable[Readable] | Captchas | Tensor, width: int, **options: object
) -> tuple[Tensor, list[tuple[int, tuple[int, int]]]]:
    """What `ocrlib.read` takes as uint8 ``(N, 1, 32, width)``; of each image how many columns show it, and (width, height).

    Raises as `read_image` does, and ``ValueError`` for captchas and tensors of another size, which are not resized.
    """
    captchas = as_captchas(images)
    images = captchas.images if isinstance(captchas, Captchas) else images
    if isinstance(images, Tensor):
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != (1, HEIGHT, width):
            raise ValueError(
                f"This network reads uint8 images (N, 1, {HEIGHT}, {width}), got {images.dtype} {tuple(images.shape)}. "
                f"Load them with load_captchas(width={width}), or give files or pictures: those are resized."
            )
        check_options(width, HEIGHT, **options)
        if (polarity := options.get("polarity", "keep")) != "keep":
            images = to_tensor([with_polarity(image[0].cpu().numpy(), polarity) for image in images])
        widths = captchas.true_widths().tolist() if isinstance(captchas, Captchas) else [width] * len(images)
        return images, [(shown, (shown, HEIGHT)) for shown in widths]
    pictures, remarks = read_images(images, width, HEIGHT, **options)
    for remark in remarks:
        warnings.warn(remark, Remark, stacklevel=3)
    found = [picture.pixels for picture in pictures]
    pixels = to_tensor(found) if found else torch.empty(0, 1, HEIGHT, width, dtype=torch.uint8)
    return pixels, [(picture.shown, picture.size) for picture in pictures]


def check_options(width: int, height: int, fit: str = "stretch", polarity: str = "keep", frame: int | None = None) -> None:
    """Raises ``ValueError`` for arguments of `read_image` that no image can satisfy."""
    for name, number, least in (("width", width, 1), ("height", height, 1), ("frame", 0 if frame is None else frame, 0)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not least <= number <= MAX_SIDE:
            raise ValueError(f"{name}={number!r}; a whole number from {least} to {MAX_SIDE} was expected.")
    if fit not in FITS or polarity not in POLARITIES:
        raise ValueError(f"fit={fit!r} and polarity={polarity!r}; one of {FITS} and one of {POLARITIES} were expected.")


def remarks_on(names: Sequence[str], pictures: Sequence[Picture]) -> list[str]:
    """One sentence for each kind of conversion, with the first names."""
    by_remark: dict[str, list[str]] = {}
    for name, picture in zip(names, pictures):
        for remark in picture.remarks:
            by_remark.setdefault(remark, []).append(name)
    return [f"{remark[0].upper()}{remark[1:]}: {first_few(which)}." for remark, which in by_remark.items()]


def pixel_hash(image: Image.Image) -> str:
    """The first 16 hex digits of the SHA-256 of the grey ("L") pixel bytes at the image's own size, row by row."""
    return hashlib.sha256(image.convert("L").tobytes()).hexdigest()[:16]


def _path(path: Path) -> Path:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; one image file was expected. Name a file inside it.")
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path} is a link to a file that is not there. Restore that file, or remove the link.")
    return path


def _content(file: bytes | IO[bytes]) -> bytes:
    """All bytes, wherever an open file has been read or written to; it stays at its place."""
    if not hasattr(file, "read"):
        return bytes(file)
    place = file.tell() if file.seekable() else None
    if place is not None:
        file.seek(0)
    content = file.read()
    if place is not None:
        file.seek(place)
    if not isinstance(content, bytes):
        raise ValueError("An open file gives text; open it for bytes: open(path, 'rb').")
    return content


def _open(file: Path | io.BytesIO, name: str, frame: int | None) -> tuple[Image.Image, list[str]]:
    """The image in a standard mode, and remarks."""
    try:
        with _whole_images_only, Image.open(file, formats=_FORMATS) as image:
            _check_size(name, image)
            remarks = _choose_frame(name, image, frame)
            _check_size(name, image)
            image.load()
            image, more = to_standard_mode(image)
            return image, [*remarks, *more]
    except BadImage:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {name}. Check the spelling and the folder.") from error
    except PermissionError as error:
        raise PermissionError(f"{name} may not be read. Ask its owner for permission, or change it (chmod +r).") from error
    except UnidentifiedImageError as error:
        start = (file.read_bytes() if isinstance(file, Path) else file.getvalue())[:12]
        what = f"no image that can be read here (it begins with {start[:4]!r})" if start else "empty (0 bytes)"
        if start[:2] == b"PK":
            what = "a zip archive with an image's name (rename it to .zip and unpack it)"
        if start[4:8] == b"ftyp":
            what = "a HEIC or AVIF photograph (save it as JPEG)"
        raise BadImage(f"{name} is {what}; a PNG, JPEG, TIFF, WebP, GIF or BMP image was expected. {_CURE}") from error
    except Exception as error:  # a damaged or enormous file can make Pillow's readers raise nearly anything
        raise BadImage(f"{name} is damaged, cut off or too large to be opened ({error}). {_CURE}") from error


def _standard(image: Image.Image | np.ndarray, name: str) -> tuple[Image.Image, list[str]]:
    """A picture or an array in a standard mode, and remarks."""
    if not isinstance(image, Image.Image):
        image = _from_array(np.asarray(image), name)
    if min(image.size) < MIN_SIDE:
        size = f"{image.width} x {image.height}"
        raise BadImage(f"A picture of {size} pixels ({name}); at least {MIN_SIDE} a side were expected.")
    try:
        with _whole_images_only:
            image.load()  # Pillow reads a file when its pixels are asked for first
        return to_standard_mode(image)
    except Exception as error:
        raise BadImage(f"{name} is damaged, cut off or closed already ({error}). {_CURE}") from error


def _from_array(values: np.ndarray, name: str) -> Image.Image:
    shape = values.shape
    if values.ndim == 3 and 1 in (shape[0], shape[2]) and shape[2] not in (3, 4):
        values = values[0] if shape[0] == 1 else values[:, :, 0]  # (1, H, W) or (H, W, 1)
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))) or not values.size:
        raise ValueError(f"An array (H, W), (H, W, 3) or (H, W, 4) was expected for {name}, got {shape}.")
    if values.dtype.kind not in "buif":
        raise ValueError(f"An array of numbers was expected for {name}, got {values.dtype}.")
    if values.dtype.kind == "f":
        try:
            return Image.fromarray(grey_of_floats(values))
        except ValueError as error:
            raise ValueError(f"{name}: {error}.") from None
    if values.dtype.kind == "b":
        values = values * np.uint8(255)
    low, high = int(values.min()), int(values.max())
    if 0 <= low and high < 256:
        return Image.fromarray(values.astype(np.uint8))
    if 0 <= low and high < 2**16 and values.ndim == 2:
        return Image.fromarray(values.astype(np.uint16))
    raise ValueError(f"{name}: pixels from {low} to {high}; 0 to 255 (0 black) were expected: scale them.")


def _check_size(name: str, image: Image.Image) -> None:
    """Raises ``BadImage`` for a size in the header that won't do, before any pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(
            f"{name} is enormous ({width:,} x {height:,} = {width * height:,} pixels); at most {MAX_PIXELS:,} were expected. "
            "Shrink it with an image program if you trust it, or move it out of the folder."
        )
    if min(width, height) < MIN_SIDE:
        expected = f"a captcha of at least {MIN_SIDE} pixels a side was expected (the published ones have 200 x 50)"
        raise BadImage(f"{name} is {width} x {height} pixels; {expected}. {_CURE}")


def _choose_frame(name: str, image: Image.Image, frame: int | None) -> list[str]:
    """Goes to a frame or page of a file that has several; returns remarks. Raises ``BadImage`` if it isn't clear which."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return []
    if frame is not None:
        if frame >= frames:
            raise BadImage(f"{name} has {frames} frames, numbered 0 to {frames - 1}; frame={frame} was asked for.")
        image.seek(frame)
        return []
    if image.format == "MPO":  # a phone's photograph; the others are previews and depths of the same view
        return []
    if image.format == "TIFF":
        return ["several pages; the first was read (frame=1 reads the second)"]
    cure = "Save the frame that shows the text as a PNG file, or choose one by its number (frame=0 is the first)."
    raise BadImage(f"{name} is an animation of {frames} frames; one still picture was expected. {cure}")
