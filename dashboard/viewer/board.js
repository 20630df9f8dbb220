// State of one mounted board, what changes it, and the entry point Streamlit calls on every run.

const boards = new WeakMap();
// What was chosen last on this page: a run that is cut short may take the board away and mount it anew.
let before = null;
// Asked and not answered yet. Streamlit keeps only the last message of a run, so each message repeats the ones before.
let waiting = [];
let number = 0;

function tokenFrom(text) {
  const [modality, index] = (text || "").split(":");
  return MODALITIES.includes(modality) && /^\d+$/.test(index ?? "") ? { modality, index: Number(index) } : null;
}
const same = (a, b) => a === b || (a && b && a.modality === b.modality && a.index === b.index);

class Board {
  constructor(root) {
    this.root = root;
    this.alive = true;
    this.ui = { ...before?.ui, hover: null, pin: null, folded: true, zoom: 1, overview: false, curves: "", scope: "all" };
    [this.seed, this.reported, this.jumps] = [before?.seed, before?.reported, before?.jumps ?? 0];
    before = this;
    this.panes = [new Pane(this, root.querySelector(".pane"), "main")];
    this.onKey = (event) => onKey(this, event);
    document.addEventListener("keydown", this.onKey);
    this.width = 0;
    this.resize = new ResizeObserver(() => {
      const width = Math.round(this.root.clientWidth);
      if (width && width !== this.width) {
        this.width = width;
        this.draw();
      }
    });
    this.resize.observe(root);
    bindTools(this);
  }

  named = (name) => this.data.strategies.find((card) => card.name === name && card.prediction);
  strategy = () => this.named(this.ui.strategy) ?? this.data.strategies.find((card) => card.prediction) ?? this.data.strategies[0];
  against = () => (this.ui.against === this.target() ? "" : this.ui.against);
  attributionName = () => nameMap("attribution", this.ui.method, this.ui.seam, this.target(), this.against());
  target = () => this.ui.target || this.strategy().prediction?.top || "";
  shows = (modality) => this.data.reads.includes(modality) || this.data.record.present.includes(modality);
  nameOf = (modality) => this.data.names[modality] ?? modality;
  active = () => this.ui.hover ?? this.ui.pin;
  main = () => this.panes[0];
  // The views there are of everything that is shown: of both strategies, side by side.
  offers = () => offeredBy([this.strategy(), ...(this.ui.beside ? [this.named(this.ui.beside)] : [])]);

  seeded({ strategy, token, view, target, seam, direction, layer, head, map, method, against, beside }) {
    return {
      strategy,
      wanted: view === "attribution" ? view : "attention",
      pin: tokenFrom(token),
      target: this.data.classes.includes(target) ? target : "",
      seam: seam === "input" ? seam : "fusion",
      direction: ["to", "by"].includes(direction) ? direction : "both",
      layer,
      head: /^\d+$/.test(head) ? Number(head) - 1 : -1,
      map: ["rollout", "relevancy"].includes(map) ? map : "raw",
      method: method || "integrated_gradients",
      against: this.data.classes.includes(against) ? against : "",
      beside: this.named(beside) && beside !== strategy ? beside : "",
    };
  }

  load(data) {
    this.data = data;
    // What was chosen while this record was on its way stays chosen, unless the server asks for something new.
    const seed = JSON.stringify({ ...data.seed, token: "" });
    const known = this.jumps === data.jumps && [this.seed, this.reported].includes(seed);
    this.jumps = data.jumps;
    const kept = known ? { ...this.selection(), token: data.seed.token } : data.seed;
    this.seed = seed;
    Object.assign(this.ui, { hover: null, folded: true, zoom: 1 }, this.seeded(kept));
    this.told = null;
    this.held = false;
    this.weighty = this.asksFor();
    this.asked = new Set(); // what was asked of the server about this record
    this.started = new Set((data.started ?? []).map((one) => JSON.stringify(one)));
    loadClip(this);
    buildStrip(this);
    this.arrange();
    this.panes.forEach((pane) => pane.build());
    this.paint();
    if (JSON.stringify({ ...this.selection(), token: "" }) !== seed) this.tell();
    this.fill();
  }

  // What is not seen at once comes after the first paint, a little at a time: other classes, similar records.
  fill() {
    clearTimeout(this.filling);
    const { complete, stage } = this.data;
    if (complete) return;
    // Whether the map on the screen is true comes before what is not on the screen.
    const wait = this.main().judged() || !this.main().mapName() || this.strategy().heavy ? 120 : 1500;
    this.filling = setTimeout(() => this.ask({ fill: stage }), wait);
  }

  adopt(data) {
    this.seed = JSON.stringify({ ...data.seed, token: "" });
    this.set(this.seeded(data.seed), false);
  }

  choose(name) {
    if (name === this.strategy().name) return;
    const before = this.strategy();
    const { pin, beside } = this.ui;
    const after = this.named(name);
    this.set({ strategy: name, hover: null, beside: beside === name ? before.name : beside, pin: pin && this.moved(pin, before, after) });
  }

  // The token of another strategy's axis that covers the middle of this one.
  moved(token, before, after) {
    const axisOf = (card) => this.data.axes[card?.axes?.[token.modality] ?? -1] ?? null;
    const [from, to] = [axisOf(before), axisOf(after)];
    if (!to || from === to) return to ? token : null;
    const span = from?.spans[token.index];
    if (!span) return null;
    const half = span.length / 2;
    const middle = [...Array(half).keys()].map((i) => (span[i] + span[i + half]) / 2);
    const index = to.spans.findIndex((box) => middle.every((x, i) => x >= box[i] && x <= box[i + half]));
    return index < 0 ? null : { modality: token.modality, index };
  }

  hover(token) {
    if (same(this.ui.hover, token)) return;
    this.ui.hover = token;
    this.draw();
  }

  pin(token) {
    const gone = same(this.ui.pin, token);
    this.set({ pin: gone ? null : token, ...(gone ? { hover: null } : {}) });
  }

  set(change, tell = true) {
    const before = this.ui.beside;
    Object.assign(this.ui, change);
    if (before !== this.ui.beside) this.arrange();
    this.paint();
    if (tell) this.tell();
  }

  // One pane, or three: the strategy, the one beside it, and their difference.
  arrange() {
    const box = this.root.querySelector(".panes");
    const wanted = this.ui.beside ? ["main", "beside", "difference"] : ["main"];
    while (this.panes.length > wanted.length) this.panes.pop().root.remove();
    for (const role of wanted.slice(this.panes.length)) {
      const pane = new Pane(this, this.main().root.cloneNode(true), role);
      box.append(pane.root);
      this.panes.push(pane);
      pane.build();
    }
    this.root.querySelector(".plan").classList.toggle("beside", wanted.length > 1);
  }

  selection() {
    const { ui } = this;
    const pin = ui.pin ? `${ui.pin.modality}:${ui.pin.index}` : "";
    const { seam, direction, layer, target, map, method, against, beside } = ui;
    const head = ui.head < 0 ? "" : String(ui.head + 1);
    return { strategy: this.strategy().name, token: pin, view: ui.wanted, target, seam, direction, layer, head, map, method, against, beside };
  }

  // One message for a burst of clicks or arrow keys, after the picture is on the screen.
  tell() {
    clearTimeout(this.pending);
    const told = () => {
      this.held = isGoing(this) && !this.isWeighty();
      if (this.held) return;
      const selection = { epoch: this.epoch, ...this.selection() };
      const text = JSON.stringify(selection);
      if (text === this.told) return;
      this.told = text;
      this.reported = JSON.stringify({ ...this.selection(), token: "" });
      this.weighty = this.asksFor();
      this.report("selection", selection);
    };
    this.pending = setTimeout(told, 60);
  }

  // What decides which maps are wanted. Anything else waits while one is worked out: each message breaks the work off.
  asksFor() {
    const { strategy, view, target, seam, method, against, beside } = this.selection();
    return JSON.stringify([strategy, view, target, seam, method, against, beside]);
  }
  isWeighty = () => this.weighty !== this.asksFor();

  paint() {
    this.ui.view = this.main().view();
    const group = this.main().group();
    if (group && this.ui.head >= group.heads) this.ui.head = -1;
    const { pin } = this.ui;
    if (pin && !(pin.index < (this.main().axis(pin.modality)?.labels.length ?? 0))) this.ui.pin = null;
    this.theme();
    this.root.classList.toggle("presenting", Boolean(this.data.presenting));
    this.root.dataset.complete = String(this.data.complete);
    paintStrip(this);
    paintVerdict(this);
    paintTools(this);
    paintControls(this);
    paintSentence(this);
    this.panes.forEach((pane) => pane.paint());
    paintHeads(this);
    paintCurves(this);
    paintChecks(this);
    paintLedger(this);
    paintSimilar(this);
    this.drawNow();
    judge(this);
  }

  theme() {
    this.colours = palette(this.root);
    this.root.classList.toggle("dark", this.colours.dark);
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.data || !this.alive) return;
    this.panes.forEach((pane) => pane.draw());
    paintPlayer(this);
  }

  close() {
    this.alive = false;
    this.resize.disconnect();
    document.removeEventListener("keydown", this.onKey);
    this.player?.pause();
    clearTimeout(this.pending);
    clearTimeout(this.filling);
    clearTimeout(this.judging);
    cancelAnimationFrame(this.frame);
  }
}

// A message is one line of JSON that says what it is, and the record as JSON: read only when it is another one.
function opened(message, board) {
  const raw = message instanceof Uint8Array ? message : new Uint8Array(message);
  const end = raw.indexOf(10);
  const text = (part) => new TextDecoder().decode(part);
  const head = JSON.parse(text(raw.subarray(0, end)));
  if (board.stage !== head.stage) [board.stage, board.content] = [head.stage, JSON.parse(text(raw.subarray(end + 1)))];
  return { ...board.content, ...head };
}

export default function ({ data: message, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".board");
  if (!root || !message) return undefined;
  let board = boards.get(parentElement);
  if (!board || board.root !== root) {
    board?.close();
    board = new Board(root);
    boards.set(parentElement, board);
  }
  board.report = setStateValue;
  const { data: was, epoch } = board;
  const data = opened(message, board);
  waiting = waiting.filter((asked) => asked.number > data.answered);
  board.ask = (request) => {
    number = Math.max(number + 1, Date.now());
    waiting = [...waiting, { number, revision: board.data.revision, ...request }];
    setTriggerValue("ask", waiting);
  };
  board.epoch = data.epoch;
  board.melInk = null; // the theme may have changed
  if (was?.revision !== data.revision || was.presenting !== data.presenting) board.load(data);
  else {
    board.data = data;
    if (epoch !== data.epoch) board.adopt(data);
    else board.paint();
    if (board.held) board.tell();
    if (was.stage !== data.stage || was.complete !== data.complete) board.fill();
  }
  return () => {
    boards.get(parentElement)?.close();
    boards.delete(parentElement);
  };
}
