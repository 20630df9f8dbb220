// "Where it looks": controls, lane heads, the line, the legend and the checks.

function segments(board, control, options, current, pick) {
  const box = board.root.querySelector(`[data-control="${control}"]`);
  box.hidden = options.length < 2;
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

function paintControls(board) {
  const { ui } = board;
  const card = board.strategy();
  const attention = ui.view === "attention" && card.groups?.length > 0;
  const attribution = ui.view === "attribution" && card.attributions?.length > 0;
  const views = [];
  if (card.groups?.length) views.push(["attention", "attention"]);
  if (card.attributions?.length) views.push(["attribution", "attribution"]);
  segments(board, "view", views, ui.view, (view) => board.set({ view, wanted: view }));
  segments(board, "direction", attention ? [["to", "attends to"], ["by", "attended by"]] : [], ui.direction, (direction) => board.set({ direction }));
  const groups = attention ? card.groups.map((group, i) => [i, group.label]) : [];
  segments(board, "layer", groups, board.groupIndex(), (i) => board.set({ group: card.groups[Number(i)].label, head: -1 }));
  const heads = attention ? [...Array(board.group().heads).keys()].map((h) => [h, String(h + 1)]) : [];
  segments(board, "head", heads.length > 1 ? [[-1, "all heads"], ...heads] : [], ui.head, (head) => board.set({ head: Number(head) }));
  const all = attribution ? card.attributions : [];
  const now = board.attribution();
  const seams = [...new Set(all.map((a) => a.seam))];
  segments(board, "seam", seams.map((seam) => [seam, `${seam} seam`]), now?.seam, (seam) => board.set({ seam }));
  const methods = [...new Set(all.filter((a) => a.seam === now.seam).map((a) => a.method))];
  segments(board, "method", methods.map((method) => [method, method]), now?.method, (method) => board.set({ method }));
  const hint = attention ? "hover a word, cell or second; click pins it, Esc lets go" : attribution ? "blue speaks for, orange against" : "";
  board.root.querySelector(".look-caption").textContent = [card.level, hint].filter(Boolean).join(" \u00b7 ");
}

function paintSentence(board) {
  const card = board.strategy();
  const node = board.root.querySelector(".sentence");
  const chance = "This head does no better than chance on validation data, so its maps are not offered as explanations.";
  const none = "No map was computed for this strategy.";
  const text = card.chance ? chance : card.groups?.length ? "" : card.sentence || (card.attributions?.length ? "" : none);
  node.textContent = text;
  node.hidden = !text;
}

function laneFact(board, modality) {
  const { image, audio } = board.data;
  const axis = board.axis(modality);
  if (modality === "text" && axis) return `${axis.labels.length} ${axis.labels.length === 1 ? "word" : "words"}`;
  if (modality === "image" && image) return `${image.width} \u00d7 ${image.height} px`;
  if (modality === "audio" && audio) {
    const level = audio.level === null ? "silent" : `peak ${plain(audio.level, 0)} dBFS`;
    const frames = axis ? ` \u00b7 ${axis.labels.length} frames` : "";
    const cut = audio.playable < audio.seconds - 0.05 ? ` \u00b7 plays the first ${plain(audio.playable, 0)} s` : "";
    return `${plain(audio.seconds, 1)} s${frames} \u00b7 ${audio.rate / 1000} kHz \u00b7 ${level}${cut}`;
  }
  return "";
}

function laneSide(board, modality) {
  const axis = board.axis(modality);
  return modality === "image" && axis?.grid ? `${axis.grid[0]} \u00d7 ${axis.grid[1]} cells` : "";
}

// An absent modality keeps its lane and says so.
function paintLanes(board) {
  const { data, root } = board;
  const { present } = data.record;
  const has = { text: Boolean(board.axis("text")), image: Boolean(data.image), audio: Boolean(data.audio) };
  for (const m of MODALITIES) {
    const lane = board.lane(m);
    lane.hidden = !board.shows(m);
    const fact = laneFact(board, m);
    put(lane.querySelector(".lane-name"), el("b", "", board.nameOf(m)), fact ? el("span", "caption num", fact) : null);
    const side = lane.querySelector(".lane-side");
    if (side) side.textContent = laneSide(board, m);
    const empty = lane.querySelector(".empty");
    empty.hidden = has[m];
    lane.querySelector(".lane-head").hidden = !has[m];
    const why = data.reads.includes(m) ? `this record's ${board.nameOf(m)} has no tokens to show` : `this model does not read ${board.nameOf(m)}`;
    empty.textContent = present.includes(m) ? why : `no ${board.nameOf(m)} in this record`;
    lane.classList.toggle("is-empty", !has[m]);
    for (const part of lane.querySelectorAll(".words, .picture, .clip, .seconds, .play")) part.hidden = !has[m];
  }
  root.querySelector(".lanes").classList.toggle("stacked", !has.image || data.image.width > 2 * data.image.height);
  if (!has.text) board.lane("text").querySelector(".fold").hidden = true;
  const grid = board.axis("image")?.grid;
  const cells = grid ? `, ${grid[0]} by ${grid[1]} cells` : "";
  board.lane("image").querySelector(".picture").setAttribute("aria-label", `Image${cells}. Arrow keys move, Enter pins.`);
  const frames = board.axis("audio")?.labels.length ?? 0;
  board.lane("audio").querySelector(".clip").setAttribute("aria-label", `Audio, ${frames} frames. Arrow keys move, Enter pins.`);
}

function paintLine(board, look) {
  const parts = look.line.map((part) => {
    if (typeof part === "string") return document.createTextNode(part);
    return part.strong !== undefined ? el("strong", "num", part.strong) : el("span", "muted", part.quiet);
  });
  put(board.root.querySelector(".line"), ...parts);
  const legend = board.root.querySelector(".legend");
  legend.classList.toggle("signed", look.kind === "attribution");
  legend.hidden = look.kind === "none";
  const [low, high] = [legend.querySelector(".low"), legend.querySelector(".high")];
  if (look.kind === "attribution") {
    low.textContent = signed(-look.common);
    high.textContent = `${signed(look.common)} logits`;
  } else if (look.kind === "attention") {
    low.textContent = "0";
    high.textContent = look.common === null ? "largest per lane" : fine(look.common);
  }
}

function paintChecks(board) {
  const marks = { true: ["\u2713", "good"], false: ["\u2717", "bad"], null: ["\u2013", "muted"] };
  const rows = (board.strategy().checks ?? []).map((check) => {
    const [mark, tone] = marks[String(check.passed)];
    const row = el("p", "check");
    row.dataset.passed = String(check.passed);
    row.append(el("span", `badge ${tone}`, `${mark} ${check.name}`), el("span", "caption", check.sentence));
    return row;
  });
  put(board.root.querySelector(".checks"), ...rows);
}
