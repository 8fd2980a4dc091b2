"""The page on which the shipped network reads in the browser: the network as ONNX, a runtime, and images to choose from.

The runtime comes from the npm registry, once: its archive stays in ``build/npm``. All that the page loads is then in the site.
"""

import base64
import gzip
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME, VERSION = "onnxruntime-web", "1.30.0"
IMAGES = 48  # four times what the page shows at once


def make_page(source: Path, static: Path, archives: Path) -> bool:
    """Write the page to ``source`` and what it loads to ``static``; False, and a line that says why, where that can't be done."""
    try:
        runtime = fetch_runtime(archives)
        files = describe_network()
    except (OSError, ModuleNotFoundError) as error:
        print(f"The website goes without the page on which the network reads. {error}", flush=True)
        return False
    packed = {"loader": runtime["ort-wasm-simd-threaded.mjs"], "wasm": runtime["ort-wasm-simd-threaded.wasm"]}
    files |= {name: as_text(gzip.compress(content, 6)) for name, content in {**packed, "network": files["network"]}.items()}
    static.mkdir(parents=True)
    (static / "runtime.js").write_bytes(runtime["ort.wasm.min.js"])
    (static / "files.js").write_text(f"const FILES = {json.dumps(files)};\n", encoding="utf-8")
    for path in (HERE / "try_it").glob("*.js"):
        shutil.copy(path, static)
    shutil.copy(HERE / "try_it" / "page.md", source / "try_it.md")
    return True


def fetch_runtime(archives: Path) -> dict[str, bytes]:
    """The runtime's three files by name, out of the archive that ``npm pack`` loads from its configured registry.

    Raises ``OSError`` without npm, or where its registry doesn't answer.
    """
    archive = archives / f"{RUNTIME}-{VERSION}.tgz"
    if not archive.exists():
        if not (npm := shutil.which("npm")):
            raise FileNotFoundError("It needs npm, which comes with Node.js.")
        archives.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archives) as folder:  # a broken load leaves nothing behind
            command = [npm, "pack", f"{RUNTIME}@{VERSION}", "--pack-destination", folder, "--fetch-retries=0"]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=120)
            except subprocess.SubprocessError as error:
                raise OSError(f"npm could not get {RUNTIME} {VERSION} from its registry: is there a network?") from error
            shutil.move(Path(folder, archive.name), archive)
    with tarfile.open(archive) as opened:
        names = ["ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]
        return {name: opened.extractfile(f"package/dist/{name}").read() for name in names}


def describe_network() -> dict:
    """The shipped network as ONNX bytes, what reading needs to know besides, and generated images with their texts."""
    from ocrlib.checkpoints import load_pretrained
    from ocrlib.data.images import MAX_PIXELS, MIN_SIDE
    from ocrlib.demo.onnx import export_onnx
    from ocrlib.demo.widgets import ImagePicker
    from ocrlib.networks import HEIGHT
    from ocrlib.synthetic.generator import SyntheticCaptchas

    model = load_pretrained()
    centres = model.network.step_centres(model.width).tolist()
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(path := Path(folder, "network.onnx"), model)
        network = path.read_bytes()
    images = []
    for image, text in SyntheticCaptchas(IMAGES, seed=7):
        image.save(file := io.BytesIO(), "PNG", optimize=True)
        images.append({"png": as_text(file.getvalue()), "text": text})
    limits = {"largest": ImagePicker.largest.default_value, "minSide": MIN_SIDE, "maxPixels": MAX_PIXELS}
    size = {"width": model.width, "height": HEIGHT, "centres": centres}
    return {"network": network, "symbols": model.alphabet.symbols, **size, **limits, "images": images}


def as_text(content: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(content).decode()
