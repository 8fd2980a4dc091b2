"""The website in a browser: nothing is cut off, and its network reads as `ocrlib.read` does. `make browser-test` asks for it."""

import base64
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import PIL
import pytest
from PIL import Image
from website import make_site

from ocrlib.checkpoints import load_pretrained
from ocrlib.evaluation import read
from ocrlib.synthetic.generator import SyntheticCaptchas

pytest.importorskip("pytest_playwright", reason="pytest-playwright is missing: `make browser-test` installs it.")
pytest.importorskip("myst_nb", reason="Sphinx is not installed: pip install -e '.[docs]'")
READ = """async (pngs) => {
    const found = [];
    for (const png of pngs) {
        const { text, confidence, pixels } = await page.read(page.fileOf(png));
        found.push([text, confidence, Array.from(pixels)]);
    }
    return found;
}"""

# What is wider than its box, or than the page; details are opened, since what is folded has no width.
WIDE = """() => {
    document.querySelectorAll("details").forEach((details) => (details.open = true));
    return [document.documentElement, ...document.querySelectorAll("article pre")]
        .filter((box) => box.scrollWidth > box.clientWidth + 1)
        .map((box) => `${box.tagName} ${box.scrollWidth} > ${box.clientWidth}: ${box.textContent.trim().slice(0, 60)}`);
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def address(site):
    """Where a server of this test gives out the site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def reader(site, address, page):
    """The page, with its network loaded; a request to another host fails the test."""
    if not (site / "try_it.html").exists():
        pytest.skip("the site has no such page: npm is missing, or its registry can't be reached")
    outside = []
    page.on("request", lambda request: request.url.startswith((address, "blob:", "data:")) or outside.append(request.url))
    page.goto(f"{address}/try_it.html")
    page.wait_for_selector(".reader[data-ready=yes]", timeout=60_000)
    yield page
    assert outside == []


def png(image: Image.Image) -> str:
    image.save(file := io.BytesIO(), "PNG")
    return base64.b64encode(file.getvalue()).decode()


def odd(number: int) -> Image.Image:
    """A captcha in colours, stretched to a size that depends on the number. Before Pillow 13 tall images came out otherwise."""
    rng = np.random.default_rng(number)
    tall = int(PIL.__version__.split(".")[0]) >= 13 and number % 5 == 0
    size = rng.integers((20, 200), (120, 300)) if tall else rng.integers((130, 8), (700, 60))
    grey = SyntheticCaptchas(20, seed=3)[number][0].resize(size.tolist())
    shift = rng.integers(0, 60, 3)
    return Image.fromarray(np.clip(np.asarray(grey)[:, :, None].astype(int) - shift, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("count, draw", [(100, lambda n: SyntheticCaptchas(100, seed=5)[n][0]), (20, odd)], ids=["plain", "odd"])
def test_it_reads_what_python_reads(count, draw, reader):
    model, images = load_pretrained(), [draw(n) for n in range(count)]
    found = reader.evaluate(READ, [png(image) for image in images])
    expected = read(images, model)
    pixels = [np.asarray(image.resize((model.width, 32)).convert("L")) for image in images]
    assert [np.array(grey).reshape(32, -1).tolist() for *_, grey in found] == [grey.tolist() for grey in pixels]
    assert [text for text, *_ in found] == [text.text for text in expected]
    assert [confidence for _, confidence, _ in found] == pytest.approx([text.confidence for text in expected], abs=1e-3)


def test_transparent_parts_are_laid_on_white(reader):
    image = SyntheticCaptchas(1, seed=9)[0][0]
    clear = Image.merge("LA", (Image.new("L", image.size, 0), image.point(lambda grey: 255 - grey)))
    ((text, confidence, _),) = reader.evaluate(READ, [png(clear)])
    (expected,) = read([clear], load_pretrained())
    assert text == expected.text and confidence == pytest.approx(expected.confidence, abs=0.01)  # a browser rounds on its own


def test_it_is_used_with_the_keyboard(reader):
    button = reader.locator("#gallery button").nth(3)
    true = button.locator("img").get_attribute("alt").split()[-1]
    button.focus()
    reader.keyboard.press("Enter")
    reader.wait_for_function("text => document.getElementById('details').textContent.endsWith(text)", arg=true)
    assert reader.locator("#text").inner_text() == true
    assert reader.locator("#list li").count() == 24
    first = reader.locator("#gallery img").first.get_attribute("alt")
    reader.get_by_role("button", name="Show twelve others").press("Enter")
    assert reader.locator("#gallery img").first.get_attribute("alt") != first


def test_a_picture_of_ones_own_is_chosen_or_dropped(reader):
    image, text = SyntheticCaptchas(1, seed=11)[0]
    content = base64.b64decode(png(image))
    reader.locator("#file").set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": content})
    reader.wait_for_function("document.getElementById('details').textContent.endsWith('mine.png')")
    assert reader.locator("#text").inner_text() == text
    white = Image.new("L", (200, 50), 255)
    expected = read(white, load_pretrained())[0].text or "nothing"
    for event in ["drop", "paste"]:
        name = f"{event}.png"
        reader.evaluate(
            """([event, png, name]) => {
                const data = new DataTransfer();
                data.items.add(new File([page.fileOf(png)], name, { type: "image/png" }));
                const given = { bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data };
                document.body.dispatchEvent(event === "drop" ? new DragEvent(event, given) : new ClipboardEvent(event, given));
            }""",
            [event, png(white), name],
        )
        reader.wait_for_function("name => document.getElementById('details').textContent.endsWith(name)", arg=name)
        assert reader.locator("#text").inner_text() == expected


@pytest.mark.parametrize(
    "content, words",
    [(b"a text", "no picture that the browser can read"), (base64.b64decode(png(Image.new("L", (5, 50)))), "at least 8 a side")],
)
def test_a_file_that_cannot_be_read_is_answered_in_words(content, words, reader):
    reader.locator("#file").set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": content})
    reader.wait_for_function("document.getElementById('problem').textContent")
    assert words in reader.locator("#problem").inner_text()
    assert reader.locator("#result").is_hidden()


def test_it_reads_when_opened_from_a_disk(site, page):
    if not (site / "try_it.html").exists():
        pytest.skip("the site has no such page: npm is missing, or its registry can't be reached")
    page.goto((site / "try_it.html").as_uri())
    page.wait_for_selector(".reader[data-ready=yes]", timeout=60_000)
    assert page.locator("#problem").inner_text() == ""
    assert len(page.locator("#text").inner_text()) == 5


def test_nothing_is_wider_than_its_column_nor_a_page_than_a_phone(site, page):
    page.route("**/*.js*", lambda route: route.abort())  # formulas and search take time and no width
    wide = {}
    for path in (path for path in site.rglob("*.html") if "_static" not in path.parts):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        found = page.evaluate(WIDE)
        page.set_viewport_size({"width": 390, "height": 800})
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 390:
            found.append(f"{width} pixels on a phone of 390")
        if found:
            wide[path.relative_to(site).as_posix()] = found
    assert wide == {}


def test_solutions_are_printed(site, page):
    page.goto((site / "notebooks" / "05_ctc_step_by_step.html").as_uri())
    solution = page.locator("details.solutions .highlight").first
    assert not solution.is_visible()
    page.emulate_media(media="print")
    assert solution.is_visible() and not page.get_by_text("Show the solutions").is_visible()
