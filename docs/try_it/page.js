// The page on which the shipped network reads: images to choose, and what the network says of them.
"use strict";

const page = (() => {
  const { symbols, width, height, centres, images, largest, minSide, maxPixels } = FILES;
  const element = (id) => document.getElementById(id);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  let shown = 0; // the first of the images that can be chosen now

  async function unpacked(base64) {
    const packed = new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))]);
    return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  // Everything comes with this page, so it also works where the page is opened from a disk.
  const session = (async () => {
    const [binary, network] = await Promise.all([unpacked(FILES.wasm), unpacked(FILES.network)]);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = binary;
    const loader = new Blob([await unpacked(FILES.loader)], { type: "text/javascript" });
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(loader) };
    return ort.InferenceSession.create(new Uint8Array(network));
  })();

  // The RGBA pixels of an image file, transparent parts laid on white. Throws an Error with a sentence for the reader.
  async function pixelsOf(file) {
    if (file.size > largest) throw new Error(`This file has more than ${largest / 1e6} million bytes. Cut the text out of it.`);
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
      throw new Error("This is no picture that the browser can read. Choose a PNG or JPEG file.");
    });
    const { width, height } = bitmap;
    if (width * height > maxPixels) throw new Error(`This picture has ${width} x ${height} pixels. Cut the text out of it.`);
    if (Math.min(width, height) < minSide)
      throw new Error(`This picture has ${width} x ${height} pixels; at least ${minSide} a side are needed.`);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height);
  }

  // Text, confidence, grey pixels as the network sees them, and the probabilities of each step, of an image file.
  async function read(file) {
    const pixels = reading.shrink(await pixelsOf(file), width, height);
    const { logits } = await (await session).run({ images: new ort.Tensor("float32", pixels, [1, 1, height, width]) });
    const rows = reading.logSoftmax(logits.data, symbols.length + 1);
    const labels = reading.merged(reading.bestPath(rows));
    const text = labels.map((label) => symbols[label - 1]).join("");
    return { text, confidence: reading.confidence(rows, labels), pixels, shares: rows.map((row) => row.map(Math.exp)) };
  }

  function drawn(parent, name, attributes, text = "") {
    const child = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => child.setAttribute(key, value));
    child.textContent = text;
    return parent.appendChild(child);
  }

  // The image as the network sees it, as a data address.
  function picture(pixels) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const rgba = Uint8ClampedArray.from({ length: 4 * pixels.length }, (_, i) => (i % 4 < 3 ? pixels[i >> 2] : 255));
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
    return canvas.toDataURL();
  }

  // The image, below it a bar a step and class; the likeliest class is named where it is a symbol.
  function drawSteps({ pixels, shares }) {
    const svg = element("steps"), scale = 960 / width, floor = 460, tall = 150;
    const x = (t) => (centres[t] + 0.5) * scale, bar = 0.8 * scale * (centres[1] - centres[0]);
    svg.replaceChildren();
    drawn(svg, "image", { href: picture(pixels), width: 960, height: 240, preserveAspectRatio: "none" });
    for (const share of [0, 0.5, 1]) drawn(svg, "line", { x2: 960, y1: floor - share * tall, y2: floor - share * tall });
    const best = reading.bestPath(shares);
    best.forEach((label, t) => {
      for (const index of new Set([0, ...best]))
        drawn(svg, "rect", {
          x: x(t) - bar / 2, y: floor - shares[t][index] * tall, width: bar, height: shares[t][index] * tall,
          class: index ? "symbol" : "blank",
        });
      if (label) drawn(svg, "text", { x: x(t), y: floor - shares[t][label] * tall - 12, class: "symbol" }, symbols[label - 1]);
      if (t === 0 || (t + 1) % 6 === 0) drawn(svg, "text", { x: x(t), y: floor + 34 }, t + 1);
    });
  }

  function listSteps({ shares }) {
    element("list").replaceChildren(...shares.map((row) => {
      const [label] = reading.bestPath([row]);
      const item = document.createElement("li");
      item.textContent = `${label ? symbols[label - 1] : "blank"}, ${percent(row[label])}`;
      return item;
    }));
  }

  // Reads an image file and shows what was found; `words` say whose image it is. On a phone that is far below the images.
  let last = Promise.resolve();
  function show(file, words, chosen = true) {
    last = last.then(async () => {
      try {
        const found = await read(file);
        element("text").textContent = found.text || "nothing";
        element("details").textContent = `${percent(found.confidence)} probability; ${words}`;
        drawSteps(found);
        listSteps(found);
        element("result").hidden = false;
        element("problem").textContent = "";
        if (chosen) element("result").scrollIntoView({ block: "nearest" });
      } catch (error) {
        element("problem").textContent = error.message;
        element("result").hidden = true;
      }
    });
    return last;
  }

  // PNG as base64 to a file.
  const fileOf = (png) => new Blob([Uint8Array.from(atob(png), (character) => character.charCodeAt(0))], { type: "image/png" });

  const choose = ({ png, text }, chosen) => show(fileOf(png), `the text that was drawn: ${text}`, chosen);

  function fillGallery() {
    const some = images.slice(shown, shown + 12);
    shown = (shown + 12) % images.length;
    element("gallery").replaceChildren(...some.map((image) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.append(Object.assign(document.createElement("img"), {
        src: `data:image/png;base64,${image.png}`, alt: `captcha with the text ${image.text}`, width: 200, height: 50,
      }));
      button.addEventListener("click", () => choose(image));
      return button;
    }));
  }

  function take(files) {
    if (files.length) show(files[0], files[0].name);
  }

  async function start() {
    fillGallery();
    element("others").addEventListener("click", fillGallery);
    element("file").addEventListener("change", (event) => take(event.target.files));
    document.addEventListener("paste", (event) => take(event.clipboardData.files));
    document.addEventListener("dragover", (event) => event.preventDefault()); // else the browser opens a dropped file
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      take(event.dataTransfer.files);
    });
    try {
      await session;
      await choose(images[0], false);
    } catch (error) {
      element("problem").textContent = `The network could not be loaded in this browser (${error.message}).`;
    }
    document.querySelector(".reader").dataset.ready = "yes";
  }

  start();
  return { read, fileOf };
})();
