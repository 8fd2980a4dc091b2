// What `ocrlib.read` does, without the page: an image's pixels to the network's input, its logits to text and confidence.
"use strict";

const reading = (() => {
  const BITS = 22; // Pillow computes its filters in whole numbers, in units of 2^-22

  // Pillow's default filter (bicubic, a = -0.5).
  function bicubic(x) {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  }

  // For each of `to` pixels: the first of the `from` pixels under the filter, and the weight of each. As in Pillow's Resample.c.
  function filters(from, to) {
    const scale = from / to, wide = Math.max(scale, 1); // the filter grows when an image shrinks: no pixel is passed over
    return Array.from({ length: to }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - 2 * wide + 0.5));
      const end = Math.min(from, Math.trunc(centre + 2 * wide + 0.5));
      const weights = Array.from({ length: end - first }, (_, k) => bicubic((first + k - centre + 0.5) / wide));
      const sum = weights.reduce((a, b) => a + b, 0);
      return { first, weights: weights.map((weight) => {
        const share = (weight / sum) * 2 ** BITS;
        return Math.trunc(share + (share < 0 ? -0.5 : 0.5));
      }) };
    });
  }

  // Resizes RGBA pixels along one axis, but for A: `lines` lines of `from` pixels, which are `step` apart, the lines `line`.
  function along(pixels, result, from, to, lines, [step, line], [newStep, newLine]) {
    filters(from, to).forEach(({ first, weights }, i) => {
      for (let j = 0; j < lines; j++) {
        for (let c = 0; c < 3; c++) {
          let sum = 2 ** (BITS - 1), at = j * line + first * step + c;
          for (const weight of weights) {
            sum += pixels[at] * weight;
            at += step;
          }
          result[j * newLine + i * newStep + c] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
        }
      }
    });
    return result;
  }

  const across = (pixels, from, to, lines) =>
    along(pixels, new Uint8Array(lines * to * 4), from, to, lines, [4, from * 4], [4, to * 4]);
  const down = (pixels, from, to, lines) =>
    along(pixels, new Uint8Array(to * lines * 4), from, to, lines, [lines * 4, 4], [lines * 4, 4]);

  // RGBA pixels (oldHeight, oldWidth, 4) of an opaque image to grey ones (height, width), 0 to 255: Pillow's resize, then its
  // conversion to "L". From version 13 on, Pillow takes the height first where it loses far more than the width.
  function shrink({ data, width: oldWidth, height: oldHeight }, width, height) {
    const downFirst = oldHeight > height && oldHeight - height > 2 * (oldWidth - width);
    const small = downFirst
      ? across(down(data, oldHeight, height, oldWidth), oldWidth, width, height)
      : down(across(data, oldWidth, width, oldHeight), oldHeight, height, width);
    return Float32Array.from({ length: height * width }, (_, i) => {
      const [red, green, blue] = small.subarray(4 * i);
      return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    });
  }

  // Logits (T, C) to T rows of log-probabilities.
  function logSoftmax(logits, classes) {
    return Array.from({ length: logits.length / classes }, (_, t) => {
      const row = Array.from(logits.subarray(t * classes, (t + 1) * classes)), most = Math.max(...row);
      const total = most + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
      return row.map((logit) => logit - total);
    });
  }

  // The likeliest class at each step.
  const bestPath = (rows) => rows.map((row) => row.indexOf(Math.max(...row)));

  // Greedy decoding: repeats merged, blanks (class 0) dropped.
  const merged = (path) => path.filter((label, t) => label && label !== path[t - 1]);

  const logAdd = (a, b) => (a === -Infinity ? b : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))));

  // The probability of the labels, summed over all their paths: the forward variables of Graves et al. 2006, section 4.1.
  function confidence(rows, labels) {
    const symbols = [0, ...labels.flatMap((label) => [label, 0])]; // a blank before, between and after
    let alpha = symbols.map((symbol, s) => (s < 2 ? rows[0][symbol] : -Infinity));
    for (const row of rows.slice(1)) {
      alpha = symbols.map((symbol, s) => {
        let sum = s ? logAdd(alpha[s], alpha[s - 1]) : alpha[s];
        if (s > 1 && symbol && symbol !== symbols[s - 2]) sum = logAdd(sum, alpha[s - 2]);
        return sum + row[symbol];
      });
    }
    return Math.exp(alpha.slice(-2).reduce(logAdd));
  }

  return { shrink, logSoftmax, bestPath, merged, confidence };
})();
