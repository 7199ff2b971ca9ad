// How sound looks: waveforms, all stems on one scale, and the spectrogram of what is heard.
import { clock } from "./engine.js";

// Magma by anchors: even steps of lightness, the same order for every eye.
const MAGMA = ["#000004", "#180f3d", "#440f76", "#721f81", "#9e2f7f", "#cd4071", "#f1605d", "#fd9668", "#feca8d", "#fcfdbf"];
const RGB = MAGMA.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
const LUT = Array.from({ length: 256 }, (_, v) => {
  const x = (v / 255) * (RGB.length - 1);
  const k = Math.min(RGB.length - 2, Math.floor(x));
  return RGB[k].map((c, i) => Math.round(c + (x - k) * (RGB[k + 1][i] - c)));
});

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them. */
function niceStep(duration, count) {
  const raw = duration / Math.max(1, count);
  const base = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((m) => m * base).find((step) => step >= raw);
}

/** `[{at, text}, …]`: where a ruler of this width says which time. */
export function ruler(width, duration) {
  const step = niceStep(duration, width / 70);
  const write = (t) => (step < 0.1 ? `${t.toFixed(3)} s` : clock(t).replace(/\.0$/, ""));
  return Array.from({ length: Math.ceil(duration / step) }, (_, k) => k * step)
    .filter((at) => at === 0 || (1 - at / duration) * width > 34)
    .map((at) => ({ at, text: write(at) }));
}

/**
 * One row of min/max columns around the middle line; `scale` is the level at the row's edge.
 * Quiet parts are raised (power 0.7), alike for every row: else they could not be seen.
 */
export function paintWave(pen, wave, top, width, height, scale, color, loud) {
  const middle = top + height / 2;
  pen.globalAlpha = loud ? 1 : 0.28;
  pen.fillStyle = color;
  pen.fillRect(0, middle - 0.5, width, 1);
  const room = height / 2 - 2;
  const tall = (level) => Math.sign(level) * room * Math.min(1, Math.abs(level) / (scale || 1)) ** 0.7;
  const columns = (wave?.length ?? 0) / 2;
  pen.beginPath();
  for (let k = 0; k < columns; k++) {
    const high = middle - tall(wave[2 * k + 1]);
    const low = middle - tall(wave[2 * k]);
    pen.rect((k * width) / columns, Math.min(high, middle - 0.5), width / columns, Math.max(1, low - high));
  }
  pen.fill();
  pen.globalAlpha = 1;
}

/** The picture of `spectrogram`, with its frequency axis, from `top` down. */
export function paintSpectrogram(pen, picture, columns, rows, top, width, height, low, high) {
  const image = new ImageData(columns, rows);
  picture.forEach((value, i) => image.data.set([...LUT[value], 255], 4 * i));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  canvas.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(canvas, 0, top, width, height);
  pen.font = "10px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (const hertz of [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]) {
    if (hertz <= low * 1.1 || hertz >= high / 1.1) continue;
    const y = top + height * (1 - Math.log(hertz / low) / Math.log(high / low));
    if (y < top + 8 || y > top + height - 8) continue; // the label would be cut off
    pen.fillStyle = "#ffffff";
    pen.globalAlpha = 0.35;
    pen.fillRect(0, Math.round(y), 5, 1);
    pen.globalAlpha = 1;
    pen.strokeStyle = "#000004";
    pen.lineWidth = 2.5;
    const label = hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`;
    pen.strokeText(label, 8, y);
    pen.fillText(label, 8, y);
  }
}
