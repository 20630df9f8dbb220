// The image lane: the picture, and over it cells whose opacity is their value.

const TALLEST = 340;
const THINNEST = 44;

function loadPicture(board) {
  board.picture = null;
  if (!board.data.image) return;
  const picture = new Image();
  picture.onload = () => {
    board.picture = picture;
    board.draw();
  };
  picture.src = board.data.image.src;
}

function buildImage(pane) {
  const box = pane.lane("image").querySelector(".picture");
  const tokenAt = (event) => {
    const axis = pane.axis("image");
    const area = box.querySelector("canvas").getBoundingClientRect();
    const [x, y] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    const index = axis ? axis.spans.findIndex(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1) : -1;
    return index < 0 ? null : { modality: "image", index };
  };
  box.onpointermove = (event) => pane.hover(tokenAt(event));
  box.onpointerleave = () => pane.hover(null);
  box.onclick = (event) => {
    if (tokenAt(event)) pane.pin(tokenAt(event));
  };
  walkable(pane, box, "image", (axis) => (axis.grid ? axis.grid[1] : 1));
}

// Arrow keys walk over the tokens of a canvas, Enter or space pins.
function walkable(pane, box, modality, columns) {
  const { board } = pane;
  const own = (token) => (token?.modality === modality ? pane.token(token) : null);
  const start = () => own(board.ui.pin)?.index ?? pane.walked?.[modality] ?? 0;
  box.onfocus = () => {
    if (box.matches(":focus-visible") && pane.axis(modality)) pane.walk({ modality, index: start() });
  };
  box.onblur = () => pane.hover(null);
  box.onkeydown = (event) => {
    const axis = pane.axis(modality);
    if (!axis) return;
    const at = own(board.ui.hover)?.index ?? start();
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      pane.pin({ modality, index: at });
      return;
    }
    const across = columns(axis);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = at + step >= 0 && at + step < axis.labels.length ? at + step : at;
    pane.walked = { ...pane.walked, [modality]: index };
    pane.walk({ modality, index });
  };
}

// As large as the lane and the height allow; a side never thinner than a finger, so a sliver of a picture can be read.
function imageSize(pane, lane) {
  const { board } = pane;
  const { width, height } = board.data.image;
  const room = lane.clientWidth;
  const tallest = document.fullscreenElement || board.data.presenting ? Math.max(TALLEST, window.innerHeight * 0.5) : board.ui.beside ? 280 : TALLEST;
  const scale = Math.min(room / width, tallest / height);
  return [Math.min(room, Math.max(THINNEST, Math.round(width * scale))), Math.max(THINNEST, Math.round(height * scale))];
}

function boxOf(span, width, height) {
  const [x0, y0, x1, y1] = span.map((edge) => Math.min(1, Math.max(0, edge)));
  const [left, top] = [Math.round(x0 * width), Math.round(y0 * height)];
  return [left, top, Math.round(x1 * width) - left, Math.round(y1 * height) - top];
}

function ring(pen, [x, y, w, h], strong) {
  pen.lineWidth = strong ? 4 : 3;
  pen.strokeStyle = "rgba(15, 20, 30, 0.7)";
  pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
  pen.lineWidth = strong ? 2.5 : 1.5;
  pen.strokeStyle = "#ffffff";
  pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
}

function printValues(pen, axis, values, digits, width, height) {
  const order = [...values.keys()].filter((index) => known(values[index])).sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 5);
  pen.font = `600 11px ${getComputedStyle(pen.canvas).fontFamily}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const index of order) {
    const text = signed(values[index], digits);
    if (Number(values[index].toFixed(digits)) === 0) continue;
    const [x, y, w, h] = boxOf(axis.spans[index], width, height);
    const half = pen.measureText(text).width / 2 + 4;
    const cx = Math.min(width - half - 1, Math.max(half + 1, x + w / 2));
    const cy = Math.min(height - 9, Math.max(9, y + h / 2));
    pen.fillStyle = "rgba(15, 20, 30, 0.78)";
    pen.beginPath();
    pen.roundRect(cx - half, cy - 8, 2 * half, 16, 4);
    pen.fill();
    pen.fillStyle = "#ffffff";
    pen.fillText(text, cx, cy + 0.5);
  }
}

function drawImage(pane, look) {
  const { board } = pane;
  const lane = pane.lane("image");
  const box = lane.querySelector(".picture");
  if (!board.data.image || box.hidden) return;
  const [width, height] = imageSize(pane, lane);
  const pen = canvasOf(box.querySelector("canvas"), width, height);
  // Under a map the picture is paler in colour, so that blue cells are told from a blue picture.
  pen.filter = look.kind === "none" ? "none" : "saturate(45%)";
  if (board.picture) pen.drawImage(board.picture, 0, 0, width, height);
  pen.filter = "none";
  const axis = pane.axis("image");
  if (!axis) return;
  axis.spans.forEach((span, index) => {
    const { alpha, colour } = shade(look, "image", index, [FOR, AGAINST]);
    const [x, y, w, h] = boxOf(span, width, height);
    pen.fillStyle = css(colour, 0.74 * alpha);
    if (alpha >= 0.02) pen.fillRect(x, y, w, h);
    const back = marked(look, "image", index);
    if (back < 0.02) return;
    pen.strokeStyle = css(BACK, back);
    pen.lineWidth = 3;
    pen.strokeRect(x + 3, y + 3, Math.max(1, w - 6), Math.max(1, h - 6));
  });
  const [active, pin] = [pane.token(board.active()), pane.token(board.ui.pin)];
  if (look.kind !== "attention" && look.values.image && active?.modality === "image") printValues(pen, axis, look.values.image, decimals(look.most), width, height);
  for (const token of [pin, active])
    if (token?.modality === "image" && axis.spans[token.index]) ring(pen, boxOf(axis.spans[token.index], width, height), same(token, pin));
}
