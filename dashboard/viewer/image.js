// The image lane: the picture, and over it cells whose opacity is their value.

const TALLEST = 340;

function buildImage(board) {
  const box = board.lane("image").querySelector(".picture");
  board.picture = null;
  if (board.data.image) {
    const picture = new Image();
    picture.onload = () => {
      board.picture = picture;
      board.draw();
    };
    picture.src = board.data.image.src;
  }
  const tokenAt = (event) => {
    const axis = board.axis("image");
    const area = box.querySelector("canvas").getBoundingClientRect();
    const [x, y] = [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height];
    const index = axis ? axis.spans.findIndex(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1) : -1;
    return index < 0 ? null : { modality: "image", index };
  };
  box.onpointermove = (event) => board.hover(tokenAt(event));
  box.onpointerleave = () => board.hover(null);
  box.onclick = (event) => {
    if (tokenAt(event)) board.pin(tokenAt(event));
  };
  walkable(board, box, "image", (axis) => (axis.grid ? axis.grid[1] : 1));
}

// Arrow keys walk over the tokens of a canvas, Enter or space pins.
function walkable(board, box, modality, columns) {
  const start = () => (board.ui.pin?.modality === modality ? board.ui.pin.index : (board.walked?.[modality] ?? 0));
  box.onfocus = () => {
    if (box.matches(":focus-visible") && board.axis(modality)) board.hover({ modality, index: start() });
  };
  box.onblur = () => board.hover(null);
  box.onkeydown = (event) => {
    const axis = board.axis(modality);
    if (!axis) return;
    const at = board.ui.hover?.modality === modality ? board.ui.hover.index : start();
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      board.pin({ modality, index: at });
      return;
    }
    const across = columns(axis);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    if (!step) return;
    event.preventDefault();
    const index = at + step >= 0 && at + step < axis.labels.length ? at + step : at;
    board.walked = { ...board.walked, [modality]: index };
    board.hover({ modality, index });
  };
}

function imageSize(board, lane) {
  const { width, height } = board.data.image;
  const room = lane.clientWidth;
  const scale = Math.min(room / width, TALLEST / height);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
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

function printValues(pen, axis, values, width, height) {
  const order = [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])).slice(0, 5);
  pen.font = `600 11px ${getComputedStyle(pen.canvas).fontFamily}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const index of order) {
    const text = signed(values[index]);
    if (Number(values[index].toFixed(2)) === 0) continue;
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

function drawImage(board, look) {
  const lane = board.lane("image");
  const box = lane.querySelector(".picture");
  if (!board.data.image || box.hidden) return;
  const [width, height] = imageSize(board, lane);
  const pen = canvasOf(box.querySelector("canvas"), width, height);
  if (board.picture) pen.drawImage(board.picture, 0, 0, width, height);
  const axis = board.axis("image");
  if (!axis) return;
  axis.spans.forEach((span, index) => {
    const { alpha, colour } = shade(look, "image", index, [FOR, AGAINST]);
    if (alpha < 0.02) return;
    pen.fillStyle = css(colour, 0.74 * alpha);
    pen.fillRect(...boxOf(span, width, height));
  });
  const active = board.active();
  if (look.kind === "attribution" && look.values.image && active?.modality === "image")
    printValues(pen, axis, look.values.image, width, height);
  const { pin } = board.ui;
  for (const token of [pin, active])
    if (token?.modality === "image" && axis.spans[token.index]) ring(pen, boxOf(axis.spans[token.index], width, height), token === pin);
}
