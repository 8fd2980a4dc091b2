"""From pictures to grey pixels: transparency, light on dark, stretching and padding, margins."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrlib.captchas import shrink
from ocrlib.data.images import read_image
from ocrlib.data.pixels import fit_pixels, ground_of, has_wide_margins, ink_side, to_standard_mode, with_polarity
from ocrlib.synthetic.generator import typeface
from ocrlib.synthetic.serials import draw_serial, random_serial


@pytest.fixture(scope="module")
def serials():
    rng = np.random.default_rng(3)
    return [draw_serial(random_serial(rng), rng) for _ in range(60)]


def written(text, ink, paper=(0, 0, 0, 0), size=(160, 40)):
    """RGBA: text in ``ink`` on paper that is transparent if nothing else is said."""
    image = Image.new("RGBA", size, paper)
    font = ImageFont.truetype(typeface("DejaVuSansMono.ttf"), 26, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(image).text((5, 5), text, fill=ink, font=font)
    return image


# --- transparency ----------------------------------------------------------------------------------------------------------

INKS = [(255, 255, 255, 255), (230, 230, 210, 255), (255, 255, 0, 255), (0, 0, 0, 255), (40, 20, 90, 255), (128, 128, 128, 255),
        (255, 255, 255, 180), (0, 0, 0, 140)]  # fmt: skip


@pytest.mark.parametrize("ink", INKS, ids=str)
def test_text_on_transparency_stands_out_whatever_its_colour(ink):
    """White text on transparency was laid on white, and read as an empty image."""
    image, remarks = to_standard_mode(written("AB12", ink))
    grey = np.asarray(image.convert("L")).astype(int)
    assert np.ptp(grey) > 100 and ink_side(shrink(image, 128, 32)) != 0
    assert remarks[0].startswith("transparent parts; laid on ")
    auto = read_image(written("AB12", ink), 128, 32, polarity="auto")
    assert ink_side(auto.pixels) == -1


def test_white_text_in_a_palette_or_with_a_transparent_colour(tmp_path):
    grey = Image.new("L", (160, 40), 0)
    grey.paste(255, (30, 5, 40, 35))
    grey.save(tmp_path / "a.png", transparency=0)  # grey with a transparent level
    grey.convert("P").save(tmp_path / "b.gif", transparency=0)
    for file in ("a.png", "b.gif"):
        picture = read_image(tmp_path / file, 160, 32)
        assert np.ptp(picture.pixels) > 200 and "laid on black" in picture.remarks[0]


def test_rounded_corners_take_the_side_of_the_ground():
    for paper, ink, corner in (((250, 250, 250, 255), "black", 255), ((20, 20, 20, 255), "white", 0)):
        image = written("AB12", ink, paper)
        image.paste((0, 0, 0, 0), (0, 0, 8, 8))
        assert np.asarray(to_standard_mode(image)[0].convert("L"))[0, 0] == corner


def test_a_picture_of_which_nothing_can_be_seen_is_remarked():
    picture = read_image(Image.new("RGBA", (160, 40), (9, 9, 9, 0)), 128, 32)
    assert "nothing in them can be seen" in picture.remarks[0] and "hardly anything" in picture.remarks[1]


# --- light on dark ---------------------------------------------------------------------------------------------------------


def test_polarity_is_told_on_published_images(real_folder):
    files = sorted(real_folder.iterdir())[::11]
    for width in (80, 200):
        pixels = [read_image(file, width, 32).pixels for file in files]
        assert {ink_side(grey) for grey in pixels} == {-1} and {ink_side(255 - grey) for grey in pixels} == {1}


@pytest.mark.parametrize("slope", [0, 60, -120], ids=["even light", "light from the right", "light from the left"])
def test_polarity_is_told_in_uneven_light(serials, slope):
    light = np.linspace(-slope / 2, slope / 2, 128)
    for image in serials:
        pixels = np.clip(shrink(image, 128, 32) * 0.6 + 50 + light, 0, 255).astype(np.uint8)
        assert (ink_side(pixels), ink_side(255 - pixels)) == (-1, 1)


def test_polarity_of_bold_text_that_fills_its_crop():
    """Half of the pixels are ink here: the gaps between letters decide, or nothing is said; never the wrong side."""
    rng, sides = np.random.default_rng(0), []
    font = ImageFont.truetype(typeface("DejaVuSansMono-Bold.ttf"), 40, layout_engine=ImageFont.Layout.BASIC)
    for text in [random_serial(rng) for _ in range(40)]:
        image = Image.new("L", (400, 80), 230)
        ImageDraw.Draw(image).text((10, 10), text, fill=20, font=font)
        crop = image.crop(image.point(lambda grey: 255 * (grey < 200)).getbbox())
        sides.append(ink_side(shrink(crop, 128, 32)))
        assert ink_side(255 - shrink(crop, 128, 32)) == -sides[-1]
    assert set(sides) <= {-1, 0} and sides.count(-1) > 20


def test_polarity_of_what_is_no_writing():
    noise = np.random.default_rng(0).integers(0, 256, (50, 32, 128), dtype=np.uint8)
    assert {ink_side(pixels) for pixels in noise} == {0}
    assert ink_side(np.full((32, 128), 77, np.uint8)) == 0


def test_polarity_is_set_right_on_request(serials):
    for image in serials[:10]:
        dark = shrink(image, 128, 32)
        assert (with_polarity(dark, "auto") == dark).all() and (with_polarity(255 - dark, "auto") == dark).all()
        assert (with_polarity(255 - dark, "keep") == 255 - dark).all() and (with_polarity(dark, "invert") == 255 - dark).all()
    with pytest.raises(ValueError, match="polarity='dark'; one of .*'auto'"):
        with_polarity(dark, "dark")
    blank = read_image(np.full((40, 160), 9, np.uint8), 128, 32, polarity="auto")
    assert (blank.pixels == 9).all() and any("left as it is" in remark for remark in blank.remarks)


# --- stretching and padding ------------------------------------------------------------------------------------------------


def test_fit_pad_keeps_the_aspect_ratio_and_pads_with_the_ground():
    image = written("AB", "black", (200, 200, 200, 255), (80, 40)).convert("L")
    pixels, shown, remarks = fit_pixels(image, 128, 32, "pad", "keep")
    assert (pixels.shape, shown, remarks) == ((32, 128), 64, [])
    np.testing.assert_array_equal(pixels[:, :64], shrink(image, 64, 32))
    assert (pixels[:, 64:] == 200).all() and ground_of(pixels) == 200
    stretched, shown, _ = fit_pixels(image, 128, 32, "stretch", "keep")
    np.testing.assert_array_equal(stretched, shrink(image, 128, 32))
    assert shown == 128


def test_fit_pad_of_light_text_turned_dark():
    image = written("AB", "white", (10, 10, 10, 255), (80, 40)).convert("L")
    pixels, shown, _ = fit_pixels(image, 128, 32, "pad", "auto")
    assert shown == 64 and (pixels[:, 64:] == 245).all() and ink_side(pixels[:, :64]) == -1


def test_fit_pad_of_an_image_that_is_too_wide():
    image = written("ABCDEFG", "black", (200, 200, 200, 255), (300, 40)).convert("L")
    pixels, shown, remarks = fit_pixels(image, 128, 32, "pad", "keep")
    assert (pixels.shape, shown) == ((32, 128), 128) and "too wide for 128 x 32 pixels" in remarks[0]
    with pytest.raises(ValueError, match="fit='crop' and .*'pad'"):
        read_image(image, 128, 32, fit="crop")


# --- margins ---------------------------------------------------------------------------------------------------------------


def test_a_picture_padded_to_a_square_is_remarked(serials):
    """The network's width is four times its height: the text would be a few rows high, and is read wrongly with confidence."""
    for image in serials:
        assert read_image(image, 128, 32).remarks == [] and not has_wide_margins(shrink(image, 128, 32))
        for bars in ((0, 0, 0), image.getpixel((0, 0))):
            square = Image.new("RGB", (image.width, image.width), bars)
            square.paste(image, (0, (image.width - image.height) // 2))
            for width in (80, 128, 200):
                assert any("squeezed" in remark for remark in read_image(square, width, 32).remarks)


def test_pictures_much_wider_or_narrower_than_the_network_are_remarked(serials):
    wide = serials[0].resize((900, 44))
    assert "too wide" in read_image(wide, 128, 32).remarks[0]
    assert "much narrower" in read_image(serials[0].resize((44, 44)), 128, 32).remarks[0]


# --- deep and floating-point pixels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_pixels_of_more_than_8_bits(tmp_path, bits):
    grey = np.asarray(Image.effect_mandelbrot((200, 50), (-2, -1, 1, 1), 90)).astype(np.uint16)
    Image.fromarray(grey << bits - 8).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", 200, 50).pixels, grey)


@pytest.mark.parametrize("scale", [1, 255])
def test_floating_point_pixels(tmp_path, scale):
    grey = np.asarray(Image.effect_mandelbrot((200, 50), (-2, -1, 1, 1), 90))
    Image.fromarray((grey * (scale / 255)).astype(np.float32)).save(tmp_path / "a.tif")
    picture = read_image(tmp_path / "a.tif", 200, 50)
    np.testing.assert_array_equal(picture.pixels, grey)
    assert "floating-point" in picture.remarks[0]
