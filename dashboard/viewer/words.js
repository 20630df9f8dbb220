// The text lane: one button per word, its number underneath.

const FOLD = 60;

function buildWords(pane) {
  const { board } = pane;
  const lane = pane.lane("text");
  const axis = pane.axis("text");
  const list = lane.querySelector(".words");
  pane.chips = (axis?.labels ?? []).map((label, index) => {
    const item = el("span", "word-item");
    item.setAttribute("role", "listitem");
    const chip = el("button", "word");
    chip.type = "button";
    chip.tabIndex = index ? -1 : 0;
    chip.dataset.token = `text:${index}`;
    if (label.length > 60) chip.title = label.slice(0, 1000);
    // White space that is read as a piece of its own has a mark, or its chip would be empty.
    chip.append(label.trim() ? el("span", "w", label) : el("span", "w blank", label.includes("\n") ? "\u21b5" : "\u2423"), el("span", "n num"));
    chip.onfocus = () => {
      if (chip.matches(":focus-visible")) pane.walk({ modality: "text", index });
    };
    chip.onblur = () => pane.hover(null);
    item.append(chip);
    return chip;
  });
  put(list, ...pane.chips.map((chip) => chip.parentElement));
  const tokenAt = (event) => pane.chips.indexOf(event.target.closest?.(".word"));
  list.onpointerover = (event) => {
    if (tokenAt(event) >= 0) pane.hover({ modality: "text", index: tokenAt(event) });
  };
  list.onpointerleave = () => pane.hover(null);
  list.onclick = (event) => {
    if (tokenAt(event) >= 0) pane.pin({ modality: "text", index: tokenAt(event) });
  };
  list.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = pane.chips.filter((chip) => !chip.parentElement.hidden);
    const next = shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(event.target) + step))];
    pane.chips.forEach((chip) => (chip.tabIndex = chip === next ? 0 : -1));
    next?.focus();
  };
  const fold = lane.querySelector(".fold");
  fold.onclick = () => {
    board.ui.folded = !board.ui.folded;
    board.panes.forEach(foldWords);
    board.draw();
  };
  foldWords(pane);
}

function foldWords(pane) {
  const { board } = pane;
  const long = pane.chips.length > FOLD + 8;
  if (board.ui.pin?.modality === "text" && board.ui.pin.index >= FOLD) board.ui.folded = false;
  pane.chips.forEach((chip, i) => (chip.parentElement.hidden = long && board.ui.folded && i >= FOLD));
  pane.lane("text").querySelector(".fold").hidden = !long;
}

// What stands under a word: how much more than an even share, or a signed score.
function wordNumber(look, value, alpha) {
  if (look.kind === "attention") return alpha >= 0.1 ? `${plain(value, 1)}\u00d7` : "";
  return alpha >= 0.04 ? signed(value, decimals(look.most)) : "";
}

function paintWords(pane, look) {
  const { board } = pane;
  const { colours } = board;
  const active = pane.token(board.active());
  const pinned = pane.token(board.ui.pin);
  const ground = colours.card;
  pane.chips.forEach((chip, index) => {
    const { value, alpha, colour } = shade(look, "text", index, [colours.for, colours.against]);
    const strength = 0.06 + (colours.dark ? 0.52 : 0.72) * alpha;
    const [word, number] = chip.children;
    chip.style.backgroundColor = alpha > 0.02 ? css(colour, strength) : "";
    chip.style.color = alpha > 0.02 ? inkOn(mix(colour, ground, strength), colours.text) : "";
    const back = marked(look, "text", index);
    chip.style.borderBottomColor = back > 0.02 ? css(board.colours.back, back) : "transparent";
    const text = wordNumber(look, value, alpha);
    number.textContent = text;
    const own = same(pinned, { modality: "text", index });
    chip.classList.toggle("pinned", Boolean(own));
    chip.classList.toggle("active", active?.modality === "text" && active.index === index);
    chip.setAttribute("aria-pressed", String(Boolean(own)));
    chip.setAttribute("aria-label", text ? `${word.textContent} ${text}` : word.textContent);
  });
  const fold = pane.lane("text").querySelector(".fold");
  if (fold.hidden) return;
  const hidden = [...(look.weights?.text ?? [])].slice(FOLD);
  const weight = hidden.length && board.ui.direction !== "by" ? `, ${fine(total(hidden))} of the weight in the hidden ${hidden.length}` : "";
  fold.textContent = board.ui.folded ? `show all ${pane.chips.length} ${pane.axis("text").unit}s${weight}` : `show the first ${FOLD} ${pane.axis("text").unit}s`;
}
