"""One image file: the reported pixels for good ones, a kind error or a remark for every other."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from ocrlib.captchas import shrink
from ocrlib.data.images import MAX_PIXELS, BadImage, read_image, read_images
from ocrlib.data.loading import load_captchas

COLOURS = Image.effect_mandelbrot((200, 50), (-2, -1, 1, 1), 90)  # deterministic, and no two columns are alike


def reported(file, width, height):
    """The pipeline of the reported experiments, word for word."""
    return np.array(Image.open(file).resize((width, height)).convert("L"))


@pytest.mark.parametrize("width, height", [(200, 32), (176, 32), (128, 32), (100, 32), (80, 32), (200, 50)])
def test_published_images_keep_the_reported_pixels(real_folder, width, height):
    files = sorted(real_folder.iterdir())[::37] + sorted(real_folder.glob("*.jpg"))
    for file in files:
        picture = read_image(file, width, height)
        np.testing.assert_array_equal(picture.pixels, reported(file, width, height), err_msg=file.name)
        assert picture.remarks == []


@pytest.mark.parametrize("mode, suffix", [("L", "png"), ("RGB", "png"), ("RGBA", "png"), ("L", "jpg"), ("RGB", "jpg")])
def test_plain_images_keep_the_reported_pixels(tmp_path, mode, suffix):
    file = tmp_path / f"abcde.{suffix}"
    colourful(mode).save(file)
    picture = read_image(str(file), 128, 32)
    np.testing.assert_array_equal(picture.pixels, reported(file, 128, 32))
    assert (picture.pixels.shape, picture.pixels.dtype) == ((32, 128), np.uint8)
    assert picture.remarks == []


def test_resizing_comes_before_grey(tmp_path):
    """Rounding makes the two orders differ: the test above would not notice a swap on a grey image."""
    file = tmp_path / "abcde.png"
    colourful("RGB").save(file)
    swapped = np.array(Image.open(file).convert("L").resize((128, 32)))
    assert (swapped != read_image(file, 128, 32).pixels).any()


def colourful(mode):
    turned = COLOURS.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = Image.merge("RGB", (COLOURS, turned, COLOURS.transpose(Image.Transpose.ROTATE_180)))
    return image.convert(mode)


# --- files that are refused ------------------------------------------------------------------------------------------------


def png_bytes(image=COLOURS, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def jpeg_bytes():
    file = io.BytesIO()
    COLOURS.save(file, "JPEG", quality=95)
    return file.getvalue()


def claiming(width, height):
    """A PNG of a few bytes whose header claims this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + png_bytes()[len(start) :]


def animation(format):
    file = io.BytesIO()
    COLOURS.save(file, format, save_all=True, append_images=[Image.new("L", (200, 50), 9)], duration=50)
    return file.getvalue()


REFUSED = {
    "no image": (b"just some text\n", "no image"),
    "0 bytes": (b"", "0 bytes"),
    "zip renamed to .png": (b"PK\x03\x04" + bytes(40), "zip archive .*rename it to .zip"),
    "PNG cut in the middle": (png_bytes()[: len(png_bytes()) // 2], "damaged, cut off"),
    "PNG cut in its header": (png_bytes()[:20], "cut off|no image"),
    "JPEG cut in the middle": (jpeg_bytes()[: len(jpeg_bytes()) // 2], "damaged, cut off"),
    "1x1": (png_bytes(Image.new("L", (1, 1))), "1 x 1 pixels"),
    "200x3": (png_bytes(Image.new("L", (200, 3))), "200 x 3 pixels"),
    "large": (claiming(3_000, 2_000), "enormous .*= 6,000,000 pixels"),
    "bomb that Pillow warns of": (claiming(10_000, 10_000), "enormous"),
    "bomb that Pillow refuses": (claiming(60_000, 60_000), r"too large to be opened \(Image size \(3600000000 pixels\)"),
    "animated PNG": (animation("PNG"), "2 frames"),
    "animated GIF renamed to .png": (animation("GIF"), "2 frames"),
    "PostScript renamed to .png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no image"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("content, words", REFUSED.values(), ids=REFUSED.keys())
def test_refused(tmp_path, content, words):
    file = tmp_path / "abcde.png"
    file.write_bytes(content)
    with pytest.raises(BadImage, match=words) as error:
        read_image(file, 200, 32)
    assert str(file) in str(error.value)
    assert "expected" in str(error.value) or "damaged" in str(error.value) or "Rename" in str(error.value)
    assert file.read_bytes() == content


def test_large_images_are_refused_only_above_the_limit(tmp_path):
    file = tmp_path / "abcde.png"
    Image.new("L", (MAX_PIXELS // 2_000, 2_000), 77).save(file)
    assert (read_image(file, 200, 32).pixels == 77).all()


@pytest.mark.parametrize("content", [png_bytes(), jpeg_bytes()], ids=["PNG", "JPEG"])
def test_a_cut_file_is_refused_or_whole(tmp_path, content):
    """Wherever a file is cut: never a picture with its lower half grey."""
    file = tmp_path / "abcde.png"
    file.write_bytes(content)
    whole = read_image(file, 200, 50).pixels
    refused = 0
    for end in range(0, len(content), 97):
        file.write_bytes(content[:end])
        try:
            np.testing.assert_array_equal(read_image(file, 200, 50).pixels, whole, err_msg=f"cut at {end}")
        except BadImage:
            refused += 1
    assert refused > 10


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*abcde.png"):
        read_image(tmp_path / "abcde.png", 200, 32)


def test_dangling_link(tmp_path):
    (tmp_path / "abcde.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match="abcde.png is a link to a file that is not there"):
        read_image(tmp_path / "abcde.png", 200, 32)


def test_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_image(tmp_path, 200, 32)


def test_unreadable_file(tmp_path, monkeypatch):
    file = tmp_path / "abcde.png"
    file.write_bytes(png_bytes())

    def refuse(*args, **kwargs):  # taking the right away would not stop the system's administrator
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(PermissionError, match="abcde.png may not be read"):
        read_image(file, 200, 32)


# --- files that are read, with a remark ------------------------------------------------------------------------------------


def stored(tmp_path, image, format="PNG", **options):
    file = tmp_path / "abcde.png"
    image.save(file, format, **options)
    return read_image(file, 100, 32)


def test_16_bit(tmp_path):
    deep = Image.fromarray(np.asarray(COLOURS).astype(np.uint16) * 256 + 200)
    picture = stored(tmp_path, deep)
    np.testing.assert_array_equal(picture.pixels, shrink(COLOURS, 100, 32))
    assert "16 bits" in picture.remarks[0]


def test_palette(tmp_path):
    colours = colourful("RGB").quantize(32)
    picture = stored(tmp_path, colours)
    np.testing.assert_array_equal(picture.pixels, shrink(colours.convert("RGB"), 100, 32))
    assert "palette" in picture.remarks[0]


def test_1_bit(tmp_path):
    picture = stored(tmp_path, COLOURS.convert("1"))
    np.testing.assert_array_equal(picture.pixels, shrink(COLOURS.convert("1").convert("L"), 100, 32))
    assert "1-bit" in picture.remarks[0]


def test_cmyk(tmp_path):
    picture = stored(tmp_path, COLOURS.convert("RGB").convert("CMYK"), "JPEG", quality=100)
    difference = picture.pixels.astype(int) - shrink(COLOURS, 100, 32)
    assert np.abs(difference).mean() < 3  # a negative would be off by about 100
    assert "CMYK" in picture.remarks[0]


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_exif_rotated(tmp_path, format):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn it by 90 degrees clockwise to see it"
    lying = COLOURS.transpose(Image.Transpose.ROTATE_90)
    options = {"quality": 100} if format == "JPEG" else {}
    picture = stored(tmp_path, lying, format, exif=exif, **options)
    difference = picture.pixels.astype(int) - shrink(COLOURS, 100, 32)
    assert np.abs(difference).max() <= (0 if format == "PNG" else 6)
    assert "rotated" in picture.remarks[0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent(tmp_path, mode):
    """Black text on full transparency, which is stored as black: it has to stay readable."""
    image = Image.new("LA", (200, 50), (0, 0))
    image.paste((0, 255), (40, 10, 60, 40))
    picture = stored(tmp_path, image.convert(mode))
    assert picture.pixels[0, 0] == 255
    assert picture.pixels[16, 25] == 0
    assert "transparent" in picture.remarks[0]


def test_several_oddities_at_once(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    colours = COLOURS.transpose(Image.Transpose.ROTATE_180).quantize(16)
    picture = stored(tmp_path, colours, exif=exif)
    upright = colours.convert("RGB").transpose(Image.Transpose.ROTATE_180)
    np.testing.assert_array_equal(picture.pixels, shrink(upright, 100, 32))
    assert len(picture.remarks) == 2


# --- half an image, whatever another cell has set --------------------------------------------------------------------------


@pytest.fixture
def truncated_allowed(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.mark.parametrize("content", [png_bytes(), jpeg_bytes()], ids=["PNG", "JPEG"])
@pytest.mark.parametrize("door", ["path", "bytes", "file", "picture"])
def test_half_an_image_is_refused_whatever_pillows_switch_says(tmp_path, truncated_allowed, content, door):
    half = content[: len(content) // 2]
    file = tmp_path / "abcde.png"
    file.write_bytes(half)
    with pytest.raises(BadImage, match="damaged, cut off"):
        read_image({"path": file, "bytes": half, "file": io.BytesIO(half), "picture": Image.open(file)}[door], 100, 32)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_half_an_image_is_refused_in_a_folder_too(captcha_folder, truncated_allowed):
    """Eight threads at once: none may find the switch as another has put it back."""
    files = sorted(captcha_folder.iterdir())
    for file in files:
        file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(ValueError, match="12 of 12 files"):
        load_captchas(captcha_folder)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_pillows_switch_stays_off_where_it_was_off():
    read_image(png_bytes(), 100, 32)
    with pytest.raises(BadImage):
        read_image(png_bytes()[: len(png_bytes()) // 2], 100, 32)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


# --- several frames or pages -----------------------------------------------------------------------------------------------

OTHER = Image.new("L", (200, 50), 9)
OTHER.paste(200, (10, 10, 40, 40))


def several(format, **options):
    file = io.BytesIO()
    COLOURS.convert("RGB").save(file, format, save_all=True, append_images=[OTHER.convert("RGB")], **options)
    return file.getvalue()


def test_a_phones_jpeg_is_read_as_its_first_picture(tmp_path):
    file = tmp_path / "abcde.jpg"
    file.write_bytes(several("MPO", quality=95))
    picture = read_image(file, 100, 32)
    assert np.abs(picture.pixels.astype(int) - shrink(COLOURS, 100, 32)).mean() < 3 and picture.remarks == []
    assert np.abs(read_image(file, 100, 32, frame=1).pixels.astype(int) - shrink(OTHER, 100, 32)).mean() < 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_a_frame_is_chosen_by_its_number(format):
    content = several(format, **({"lossless": True} if format == "WEBP" else {}))
    for frame, expected in enumerate((COLOURS, OTHER)):
        np.testing.assert_array_equal(read_image(content, 100, 32, frame=frame).pixels, shrink(expected, 100, 32))
    with pytest.raises(BadImage, match="2 frames; .*frame=0 is the first"):
        read_image(content, 100, 32)
    with pytest.raises(BadImage, match="2 frames, numbered 0 to 1; frame=2 was asked for"):
        read_image(content, 100, 32, frame=2)


def test_the_first_page_of_a_tiff_is_read():
    picture = read_image(several("TIFF"), 100, 32)
    np.testing.assert_array_equal(picture.pixels, shrink(COLOURS, 100, 32))
    assert picture.remarks == ["several pages; the first was read (frame=1 reads the second)"]
    np.testing.assert_array_equal(read_image(several("TIFF"), 100, 32, frame=1).pixels, shrink(OTHER, 100, 32))


@pytest.mark.parametrize("frame", [-1, 1.5, True, "0"])
def test_a_frame_that_is_no_number(frame):
    with pytest.raises(ValueError, match="frame=.*; a whole number from 0 to 4096 was expected"):
        read_image(png_bytes(), 100, 32, frame=frame)


@pytest.mark.parametrize("format", ["TIFF", "BMP", "GIF", "WEBP"])
def test_other_formats_with_one_picture(format):
    file = io.BytesIO()
    COLOURS.save(file, format, **({"lossless": True} if format == "WEBP" else {}))
    np.testing.assert_array_equal(read_image(file, 100, 32).pixels, shrink(COLOURS, 100, 32))


# --- bytes, open files, arrays ---------------------------------------------------------------------------------------------


def test_bytes_and_open_files(tmp_path):
    file = tmp_path / "abcde.png"
    file.write_bytes(png_bytes())
    expected = read_image(file, 100, 32)
    written = io.BytesIO()
    COLOURS.save(written, "PNG")  # stands at its end now
    with open(file, "rb") as opened:
        for source in (png_bytes(), bytearray(png_bytes()), memoryview(png_bytes()), written, opened):
            found = read_image(source, 100, 32)
            np.testing.assert_array_equal(found.pixels, expected.pixels)
            assert (found.hash, found.size, found.shown) == (expected.hash, (200, 50), 100)
    assert written.tell() == len(written.getvalue())
    with pytest.raises(BadImage, match=r"images\[1\] is no image"):
        read_images([png_bytes(), b"nothing"], 100, 32)
    with pytest.raises(ValueError, match="open it for bytes"):
        read_image(io.StringIO("text"), 100, 32)


GREY = np.asarray(COLOURS)
ARRAYS = {
    "uint8": GREY,
    "int64": GREY.astype(np.int64),
    "floats to 1": GREY / 255,
    "floats to 255": GREY.astype(np.float32),
    "(H, W, 1)": GREY[:, :, None],
    "(1, H, W)": GREY[None],
    "colours": np.stack([GREY] * 3, axis=2),
    "opaque": np.stack([GREY, GREY, GREY, np.full_like(GREY, 255)], axis=2),
    "16 bits": GREY.astype(np.uint16) * 256 + 200,
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays(array):
    np.testing.assert_array_equal(read_image(array, 100, 32).pixels, shrink(COLOURS, 100, 32))
    assert len(read_images(array, 100, 32)[0]) == 1 and len(read_images([array, array], 100, 32)[0]) == 2


def test_a_stack_of_arrays():
    pictures, remarks = read_images(np.stack([GREY, 255 - GREY]), 100, 32)
    assert len(pictures) == 2 and remarks == []
    assert (set(read_image(GREY > 100, 200, 50).pixels.flat), len(read_images([], 100, 32)[0])) == ({0, 255}, 0)


REFUSED_ARRAYS = {
    "a line": (np.zeros(5), r"\(H, W\), \(H, W, 3\) or \(H, W, 4\) was expected for the image, got \(5,\)"),
    "channels first": (np.zeros((3, 50, 200), np.uint8), r"got \(3, 50, 200\)"),
    "empty": (np.zeros((0, 9)), r"got \(0, 9\)"),
    "negative": (GREY.astype(int) - 9, "pixels from -9 to .*; 0 to 255"),
    "too large": (np.stack([GREY] * 3, axis=2).astype(int) * 9, "0 to 255 .* were expected: scale them"),
    "not a number": (np.full((50, 200), np.nan), "pixels from nan to nan"),
    "floats beyond": (GREY * 3.5, "0 to 1 or 0 to 255"),
    "objects": (np.full((50, 200), "x"), "An array of numbers was expected"),
    "tiny": (np.zeros((3, 200), np.uint8), "200 x 3 pixels .*at least 8 a side"),
    "no image": (7, "its bytes, a picture .* or an array was expected for the image, got int"),
}


@pytest.mark.parametrize("array, words", REFUSED_ARRAYS.values(), ids=REFUSED_ARRAYS.keys())
def test_refused_arrays(array, words):
    with pytest.raises(ValueError, match=words):
        read_image(array, 200, 32)


def test_the_frame_of_a_picture_is_chosen_before():
    with pytest.raises(ValueError, match=r"frame=1 is for files: .*image.seek\(1\)"):
        read_image(COLOURS, 100, 32, frame=1)


def test_a_heic_photograph_is_named():
    with pytest.raises(BadImage, match="a HEIC or AVIF photograph .save it as JPEG"):
        read_image(b"\0\0\0\x18ftypheic" + bytes(40), 100, 32)
