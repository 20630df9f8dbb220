// The text lane: one button per word, its number underneath.

const FOLD = 60;

function buildWords(board) {
  const lane = board.lane("text");
  const axis = board.axis("text");
  const list = lane.querySelector(".words");
  board.chips = (axis?.labels ?? []).map((label, index) => {
    const item = el("span", "word-item");
    item.setAttribute("role", "listitem");
    const chip = el("button", "word");
    chip.type = "button";
    chip.tabIndex = index ? -1 : 0;
    chip.dataset.token = `text:${index}`;
    chip.append(el("span", "w", label), el("span", "n num"));
    chip.onfocus = () => {
      if (chip.matches(":focus-visible")) board.hover({ modality: "text", index });
    };
    chip.onblur = () => board.hover(null);
    item.append(chip);
    return chip;
  });
  put(list, ...board.chips.map((chip) => chip.parentElement));
  const tokenAt = (event) => board.chips.indexOf(event.target.closest?.(".word"));
  list.onpointerover = (event) => {
    if (tokenAt(event) >= 0) board.hover({ modality: "text", index: tokenAt(event) });
  };
  list.onpointerleave = () => board.hover(null);
  list.onclick = (event) => {
    if (tokenAt(event) >= 0) board.pin({ modality: "text", index: tokenAt(event) });
  };
  list.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const shown = board.chips.filter((chip) => !chip.parentElement.hidden);
    const next = shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(event.target) + step))];
    board.chips.forEach((chip) => (chip.tabIndex = chip === next ? 0 : -1));
    next?.focus();
  };
  const fold = lane.querySelector(".fold");
  fold.onclick = () => {
    board.ui.folded = !board.ui.folded;
    foldWords(board);
    board.draw();
  };
  foldWords(board);
}

function foldWords(board) {
  const long = board.chips.length > FOLD + 8;
  if (board.ui.pin?.modality === "text" && board.ui.pin.index >= FOLD) board.ui.folded = false;
  board.chips.forEach((chip, i) => (chip.parentElement.hidden = long && board.ui.folded && i >= FOLD));
  board.lane("text").querySelector(".fold").hidden = !long;
}

function paintWords(board, look) {
  const { colours } = board;
  const active = board.active();
  const ground = colours.card;
  board.chips.forEach((chip, index) => {
    const { value, alpha, colour } = shade(look, "text", index, [colours.for, colours.against]);
    const strength = 0.06 + (colours.dark ? 0.52 : 0.72) * alpha;
    const [word, number] = chip.children;
    chip.style.backgroundColor = alpha > 0.02 ? css(colour, strength) : "";
    chip.style.color = alpha > 0.02 ? inkOn(mix(colour, ground, strength), colours.text) : "";
    const worth = look.kind === "attribution" ? alpha >= 0.04 : alpha >= 0.15;
    const text = !worth ? "" : look.kind === "attribution" ? signed(value) : fine(value);
    number.textContent = text;
    chip.classList.toggle("pinned", board.isPinned("text", index));
    chip.classList.toggle("active", active?.modality === "text" && active.index === index);
    chip.setAttribute("aria-pressed", String(board.isPinned("text", index)));
    chip.setAttribute("aria-label", text ? `${word.textContent} ${text}` : word.textContent);
  });
  const fold = board.lane("text").querySelector(".fold");
  if (fold.hidden) return;
  const hidden = [...(look.values.text ?? [])].slice(FOLD);
  const weight = look.kind === "attention" && board.ui.direction === "to" && look.common !== null && hidden.length ? `, ${fine(total(hidden))} of the weight in the hidden ${hidden.length}` : "";
  fold.textContent = board.ui.folded ? `show all ${board.chips.length} words${weight}` : `show the first ${FOLD} words`;
}
