// All heads at a glance: small multiples of what each head reads on the whole; a click opens the head.

const TILE = 56;
const RIBBON = 7;

// One head: the cells of the image, under them a ribbon of words and one of frames.
function drawTile(pane, canvas, group, head) {
  const { board } = pane;
  const look = liftsOf(onTheWhole(group, head));
  const kinds = MODALITIES.filter((m) => look.values[m] && pane.axis(m));
  const height = kinds.reduce((sum, m) => sum + (m === "image" ? TILE : RIBBON) + 3, -3);
  const pen = canvasOf(canvas, TILE, Math.max(RIBBON, height));
  let y = 0;
  for (const m of ["image", "text", "audio"].filter((kind) => kinds.includes(kind))) {
    const tall = m === "image" ? TILE : RIBBON;
    const axis = pane.axis(m);
    const count = axis.labels.length;
    pen.fillStyle = css(mix(board.colours.text, board.colours.card, 0.06));
    pen.fillRect(0, y, TILE, tall);
    for (let index = 0; index < count; index++) {
      const span = m === "image" ? axis.spans[index] : [index / count, 0, (index + 1) / count, 1];
      const [left, top, w, h] = boxOf(span, TILE, tall);
      const alpha = within(aboveEven(look, m, index));
      if (alpha < 0.02) continue;
      pen.fillStyle = css(board.colours.for, alpha);
      pen.fillRect(left, y + top, Math.max(1, w), h);
    }
    y += tall + 3;
  }
}

function headButton(board, group, head) {
  const pane = board.main();
  const { own } = readingsOf(pane, group);
  const button = el("button", "tile");
  button.type = "button";
  const chosen = board.ui.head === head && pane.group() === group;
  button.setAttribute("aria-pressed", String(chosen));
  button.setAttribute("aria-label", `${group.label}, ${headName(pane, group, head)}`);
  const canvas = document.createElement("canvas");
  drawTile(pane, canvas, group, head);
  const moves = pane.card().heads?.[group.label]?.[head];
  button.append(canvas, el("span", "caption num", moves === undefined ? `head ${(head % own) + 1}` : `${(head % own) + 1} \u00b7 ${fine(moves)}`));
  button.onclick = () => board.set({ layer: group.label, head: chosen ? -1 : head });
  return button;
}

function paintHeads(board) {
  const pane = board.main();
  const box = board.root.querySelector(".overview");
  const toggle = board.root.querySelector(".heads");
  const groups = pane.view() === "attention" && pane.map() === "raw" ? (pane.card().groups ?? []) : [];
  toggle.hidden = groups.every((group) => group.heads === 1);
  toggle.setAttribute("aria-expanded", String(board.ui.overview));
  toggle.onclick = () => board.set({ overview: !board.ui.overview }, false);
  box.hidden = !board.ui.overview || toggle.hidden;
  if (box.hidden) return;
  const rows = groups.flatMap((group) => {
    const { labels, own } = readingsOf(pane, group);
    return (labels ?? [""]).map((label, reading) => {
      const row = el("div", "tiles");
      const name = label ? `${group.label}, \u201c${label}\u201d` : group.label;
      row.append(el("span", "caption", name), ...[...Array(own).keys()].map((head) => headButton(board, group, reading * own + head)));
      return row;
    });
  });
  const moves = "Number: by how much taking that head out moves the logit of the strategy\u2019s own answer; where several pairs share a layer, the most one of them does.";
  const said = board.strategy().heavy ? "" : moves;
  put(box, ...rows, el("p", "caption", `What each head reads on the whole: image cells, then a ribbon of words and one of frames. Colour begins above an even share. ${said}`));
}
