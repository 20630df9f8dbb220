// Small things every part of the board needs: elements, numbers, bytes, colours.

const MODALITIES = ["text", "image", "audio"];
const FOR = [37, 99, 235]; // over a picture, whatever the theme
const AGAINST = [234, 112, 12];
const GREY = [128, 134, 146]; // a map that is no better than random
const BACK = [168, 85, 247]; // what attends to the token in question

function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function put(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  return parent;
}

const plain = (value, digits = 2) => {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
};
const signed = (value, digits = 2) => (Number(value.toFixed(digits)) > 0 ? "+" : "") + plain(value, digits);

// Enough decimals for small numbers: 0.46, 0.021, 0.0030.
const decimals = (value) => (value === 0 || Math.abs(value) >= 0.095 ? 2 : Math.abs(value) >= 0.0095 ? 3 : 4);
const fine = (value) => plain(value, decimals(value));

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}
const floats = (text) => new Float32Array(bytes(text).buffer);

function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const total = (values) => values.reduce((sum, value) => sum + value, 0);

const brush = document.createElement("canvas").getContext("2d");
function rgb(colour, fallback) {
  brush.fillStyle = fallback;
  brush.fillStyle = (colour || "").trim() || fallback;
  const text = brush.fillStyle;
  if (text[0] === "#") return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}
const css = (colour, alpha = 1) => `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;
const mix = (over, under, alpha) => over.map((channel, i) => channel * alpha + under[i] * (1 - alpha));
function luminance(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
// The theme's own ink unless it cannot be read on `ground`.
function inkOn(ground, ink) {
  const light = luminance(ground);
  if (contrast(light, luminance(ink)) >= 4.5) return css(ink);
  return contrast(light, 1) > contrast(light, 0.01) ? "#ffffff" : "#12171f";
}

function palette(root) {
  const style = getComputedStyle(root);
  const read = (name, fallback) => rgb(style.getPropertyValue(name), fallback);
  const card = read("--st-secondary-background-color", "#ffffff");
  const dark = luminance(read("--st-background-color", "#ffffff")) < 0.3;
  return {
    dark,
    card,
    text: read("--st-text-color", "#1b222c"),
    accent: read("--st-primary-color", "#2f6bd8"),
    for: read("--st-blue-color", "#2f6bd8"),
    back: dark ? [192, 132, 252] : [147, 51, 234],
    against: read("--st-orange-color", "#dd7415"),
  };
}

// A crisp canvas of `width` x `height` CSS pixels; returns its context.
function canvasOf(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}
