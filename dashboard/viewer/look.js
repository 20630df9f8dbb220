// "Where it looks": controls, lane heads, the line, the legend and the checks.

const MANY = 12; // choices beyond which a list takes their place (a language model has 32 layers of 32 heads), as
// it does where choices are named by labels, which may be long

function listed(box, options, current, pick) {
  if (box.firstElementChild?.tagName !== "SELECT") {
    put(box, el("select"));
    delete box.dataset.options;
    box.onclick = box.onkeydown = null;
  }
  const list = box.firstElementChild;
  list.setAttribute("aria-label", box.getAttribute("aria-label"));
  choices(list, options, String(current));
  list.onchange = (event) => pick(event.target.value);
}

function segments(board, control, options, current, pick) {
  const box = board.root.querySelector(`[data-control="${control}"]`);
  const many = options.length > MANY || options.some(([, label]) => String(label).startsWith("\u201c"));
  box.hidden = options.length < 2;
  box.classList.toggle("many", many);
  box.setAttribute("role", many ? "group" : "radiogroup");
  if (many) {
    listed(box, options, current, pick);
    return;
  }
  const signature = JSON.stringify(options);
  if (box.dataset.options !== signature) {
    box.dataset.options = signature;
    put(
      box,
      ...options.map(([value, label]) => {
        const button = el("button", "", label);
        button.type = "button";
        button.dataset.value = value;
        button.setAttribute("role", "radio");
        return button;
      }),
    );
  }
  box.onclick = (event) => {
    if (event.target.dataset.value !== undefined) pick(event.target.dataset.value);
  };
  box.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = options.findIndex(([value]) => String(value) === String(current));
    const next = (at + step + options.length) % options.length;
    pick(String(options[next][0]));
    box.children[next]?.focus();
  };
  for (const button of box.children) {
    const chosen = button.dataset.value === String(current);
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
}

const WAYS = [["both", "both ways"], ["to", "attends to"], ["by", "attended by"]];
const SEAMS = [["fusion", "fusion seam"], ["input", "input seam"]];
const HINTS = {
  attention: "hover a word, cell or second; click pins it, Esc lets go",
  attribution: "blue speaks for, orange against",
};

function headChoices(pane) {
  const group = pane.group();
  const plainly = group.heads < MANY && !readingsOf(pane, group).labels;
  const named = [...Array(group.heads).keys()].map((h) => [h, plainly ? h + 1 : headName(pane, group, h)]);
  return [[-1, "all heads"], ...named];
}

function paintControls(board) {
  const { ui } = board;
  const pane = board.main();
  const card = board.strategy();
  const view = pane.view();
  const attention = view === "attention";
  const views = board.offers().toReversed().map((name) => [name, name]);
  segments(board, "view", views, view, (wanted) => board.set({ wanted }));
  const ways = [["raw", "raw"], ...(card.scores ?? []).map((one) => [one.method, one.label])];
  const maps = attention ? [...new Map(ways)] : [];
  segments(board, "map", maps, pane.map(), (map) => board.set({ map }));
  const raw = attention && pane.map() === "raw";
  segments(board, "direction", raw ? WAYS : [], ui.direction, (direction) => board.set({ direction }));
  const groups = raw ? card.groups.map((group, i) => [i, group.label]) : [];
  segments(board, "layer", groups, pane.groupIndex(), (i) => board.set({ layer: card.groups[Number(i)].label, head: -1 }));
  const heads = raw ? headChoices(pane) : [];
  segments(board, "head", heads.length > 2 ? heads : [], ui.head, (head) => board.set({ head: Number(head) }));
  const attribution = view === "attribution";
  segments(board, "seam", attribution ? SEAMS : [], ui.seam, (seam) => board.set({ seam }));
  paintAsking(board, attribution);
  board.root.querySelector(".look-caption").textContent = [card.level, HINTS[view]].filter(Boolean).join(" \u00b7 ");
}

function paintSentence(board) {
  const card = board.strategy();
  const node = board.root.querySelector(".sentence");
  const chance = "This head does no better than chance on validation data, so its maps are not offered as explanations.";
  const none = "No map was computed for this strategy.";
  const beside = board.named(board.ui.beside);
  const lacking = [card, beside].find((one) => one && !one.groups?.length) ?? null;
  const own = lacking === card ? card.sentence || (HAS.attribution(card) ? "" : none) : (lacking?.sentence ?? "");
  const text = card.chance ? chance : own;
  node.textContent = text;
  node.hidden = !text;
}

function laneFact(pane, modality) {
  const { image, audio } = pane.board.data;
  const axis = pane.axis(modality);
  if (modality === "text" && axis) return `${axis.labels.length} ${axis.unit}${axis.labels.length === 1 ? "" : "s"}`;
  if (modality === "image" && image) return `${image.width} \u00d7 ${image.height} px`;
  if (modality === "audio" && audio) {
    const level = audio.level === null ? "silent" : `peak ${plain(audio.level, 0)} dBFS`;
    const frames = axis ? ` \u00b7 ${axis.labels.length} frames` : "";
    const length = audio.whole > audio.seconds + 0.05 ? `first ${plain(audio.seconds, 1)} s of ${plain(audio.whole, 1)} s are read` : `${plain(audio.seconds, 1)} s`;
    return `${length}${frames} \u00b7 ${audio.rate / 1000} kHz \u00b7 ${level}`;
  }
  return "";
}

function laneSide(pane, modality) {
  const axis = pane.axis(modality);
  return modality === "image" && axis?.grid ? `${axis.grid[0]} \u00d7 ${axis.grid[1]} cells` : "";
}

// An absent modality keeps its lane and says so.
function paintLanes(pane) {
  const { board, root } = pane;
  const { data } = board;
  const { present } = data.record;
  const has = { text: Boolean(pane.axis("text")), image: Boolean(data.image), audio: Boolean(data.audio) };
  for (const m of MODALITIES) {
    const lane = pane.lane(m);
    lane.hidden = !board.shows(m);
    const fact = laneFact(pane, m);
    put(lane.querySelector(".lane-name"), el("b", "", board.nameOf(m)), fact ? el("span", "caption num", fact) : null);
    const side = lane.querySelector(".lane-side");
    if (side) side.textContent = laneSide(pane, m);
    const empty = lane.querySelector(".empty");
    empty.hidden = has[m];
    lane.querySelector(".lane-head").hidden = !has[m];
    const why = data.reads.includes(m) ? `this record's ${board.nameOf(m)} has no tokens to show` : `this model does not read ${board.nameOf(m)}`;
    empty.textContent = present.includes(m) ? why : `no ${board.nameOf(m)} in this record`;
    lane.classList.toggle("is-empty", !has[m]);
    for (const part of lane.querySelectorAll(".words, .picture, .clip, .seconds, .play")) part.hidden = !has[m];
  }
  root.querySelector(".lanes").classList.toggle("stacked", !has.image || data.image.width > 2 * data.image.height);
  if (!has.text) pane.lane("text").querySelector(".fold").hidden = true;
  const grid = pane.axis("image")?.grid;
  const cells = grid ? `, ${grid[0]} by ${grid[1]} cells` : "";
  pane.lane("image").querySelector(".picture").setAttribute("aria-label", `Image${cells}. Arrow keys move, Enter pins.`);
  const frames = pane.axis("audio")?.labels.length ?? 0;
  pane.lane("audio").querySelector(".clip").setAttribute("aria-label", `Audio, ${frames} frames. Arrow keys move, Enter pins.`);
  paintZoom(pane);
}

const LEGENDS = {
  attention: (look) => ["even share", `${plain(look.most, 1)} \u00d7`],
  attribution: (look) => [signed(-look.most, decimals(look.most)), `${signed(look.most, decimals(look.most))} logits`],
  difference: (look) => [signed(-look.most, decimals(look.most)), `${signed(look.most, decimals(look.most))} ${look.unit}`],
};

function paintLine(pane, look) {
  const parts = look.line.map((part) => {
    if (typeof part === "string") return document.createTextNode(part);
    return part.strong !== undefined ? el("strong", "num", part.strong) : el("span", "muted", part.quiet);
  });
  put(pane.root.querySelector(".line"), ...parts);
  const legend = pane.root.querySelector(".legend");
  legend.classList.toggle("signed", look.kind !== "attention");
  legend.hidden = look.kind === "none";
  pane.root.querySelector(".back").hidden = !look.back;
  const [low, high] = LEGENDS[look.kind]?.(look) ?? ["", ""];
  legend.querySelector(".low").textContent = low;
  legend.querySelector(".high").textContent = high;
}

function checkRow(check) {
  const marks = { true: ["\u2713", "good"], false: ["\u2717", "bad"], null: ["\u2013", "muted"] };
  const [mark, tone] = marks[String(check.passed)];
  const row = el("p", "check");
  row.dataset.passed = String(check.passed);
  row.append(el("span", `badge ${tone}`, `${mark} ${check.name}`), el("span", "caption", check.sentence));
  return row;
}

// The checks of the map that is shown.
function paintChecks(board) {
  const pane = board.main();
  const shown = pane.view() === "attention" ? (board.strategy().checks ?? []) : (pane.attribution()?.checks ?? []);
  put(board.root.querySelector(".checks"), ...shown.map(checkRow));
}
