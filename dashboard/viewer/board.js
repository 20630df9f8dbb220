// State of one mounted board, what changes it, and the entry point Streamlit calls on every run.

const boards = new WeakMap();

function tokenFrom(text) {
  const [modality, index] = (text || "").split(":");
  return MODALITIES.includes(modality) && /^\d+$/.test(index ?? "") ? { modality, index: Number(index) } : null;
}
const same = (a, b) => a === b || (a && b && a.modality === b.modality && a.index === b.index);

class Board {
  constructor(root) {
    this.root = root;
    this.alive = true;
    this.chips = [];
    this.ui = { hover: null, pin: null, head: -1, direction: "to", folded: true };
    this.root.onkeydown = (event) => {
      if (event.key === "Escape" && this.ui.pin) this.pin(this.ui.pin);
    };
    this.width = 0;
    this.resize = new ResizeObserver(() => {
      const width = Math.round(this.root.clientWidth);
      if (width && width !== this.width) {
        this.width = width;
        this.draw();
      }
    });
    this.resize.observe(root);
  }

  strategy = () => this.data.strategies.find((card) => card.name === this.ui.strategy) ?? this.data.strategies[0];
  lane = (modality) => this.root.querySelector(`[data-lane="${modality}"]`);
  shows = (modality) => this.data.reads.includes(modality) || this.data.record.present.includes(modality);
  nameOf = (modality) => this.data.names[modality] ?? modality;
  active = () => this.ui.hover ?? this.ui.pin;
  isPinned = (modality, index) => same(this.ui.pin, { modality, index });

  axis(modality, card = this.strategy()) {
    const index = card.axes?.[modality];
    return index === undefined ? null : this.data.axes[index];
  }

  // The layer chosen by name, else the last one in which a modality reads another.
  groupIndex() {
    const groups = this.strategy().groups ?? [];
    const named = groups.findIndex((group) => group.label === this.ui.group);
    const crossing = groups.findLastIndex((group) => group.maps.some((map) => map.query !== map.key));
    return named >= 0 ? named : Math.max(0, crossing);
  }
  group = () => this.strategy().groups?.[this.groupIndex()];

  attribution() {
    const all = this.strategy().attributions ?? [];
    const inSeam = all.filter((a) => a.seam === this.ui.seam);
    const among = inSeam.length ? inSeam : all;
    return among.find((a) => a.method === this.ui.method) ?? among[0];
  }

  load(data) {
    this.data = data;
    this.ui = { ...this.ui, hover: null, folded: true, strategy: data.strategy, wanted: data.view, pin: tokenFrom(data.token) };
    this.wordsAxis = undefined;
    buildStrip(this);
    buildImage(this);
    buildAudio(this);
    this.paint();
  }

  adopt(data) {
    this.set({ strategy: data.strategy, wanted: data.view, pin: tokenFrom(data.token) }, false);
  }

  choose(name) {
    if (name === this.ui.strategy) return;
    const before = this.strategy();
    const { pin } = this.ui;
    const after = this.data.strategies.find((card) => card.name === name);
    this.set({ strategy: name, hover: null, pin: pin && this.moved(pin, before, after) });
  }

  // The token of another strategy's axis that covers the middle of this one.
  moved(token, before, after) {
    const [from, to] = [this.axis(token.modality, before), this.axis(token.modality, after)];
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
    Object.assign(this.ui, change);
    this.paint();
    if (tell) this.tell();
  }

  // One message for a burst of clicks or arrow keys, after the picture is on the screen.
  tell() {
    clearTimeout(this.pending);
    const told = () => {
      const { strategy, view, pin } = this.ui;
      const selection = { epoch: this.epoch, strategy, token: pin ? `${pin.modality}:${pin.index}` : "", view: view === "none" ? this.ui.wanted : view };
      const text = JSON.stringify(selection);
      if (text === this.told) return;
      this.told = text;
      this.report("selection", selection);
    };
    this.pending = setTimeout(told, 60);
  }

  paint() {
    const card = this.strategy();
    const offers = { attention: card.groups?.length > 0, attribution: card.attributions?.length > 0 };
    const { wanted } = this.ui;
    this.ui.view = offers[wanted] ? wanted : offers.attribution ? "attribution" : offers.attention ? "attention" : "none";
    if (this.group() && this.ui.head >= this.group().heads) this.ui.head = -1;
    const { pin } = this.ui;
    if (pin && !(pin.index < (this.axis(pin.modality)?.labels.length ?? 0))) this.ui.pin = null;
    this.theme();
    paintStrip(this);
    paintVerdict(this);
    paintControls(this);
    paintSentence(this);
    paintLanes(this);
    paintChecks(this);
    paintLedger(this);
    const words = card.axes?.text ?? null;
    if (this.wordsAxis !== words) {
      this.wordsAxis = words;
      buildWords(this);
    } else foldWords(this);
    this.drawNow();
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
    const look = lookAt(this);
    paintWords(this, look);
    drawImage(this, look);
    drawAudio(this, look);
    paintLine(this, look);
    paintPlayer(this);
  }

  close() {
    this.alive = false;
    this.resize.disconnect();
    this.player?.pause();
    clearTimeout(this.pending);
    cancelAnimationFrame(this.frame);
  }
}

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".board");
  if (!root || !data) return undefined;
  let board = boards.get(parentElement);
  if (!board || board.root !== root) {
    board?.close();
    board = new Board(root);
    boards.set(parentElement, board);
  }
  board.report = setStateValue;
  const [revision, epoch] = [board.data?.revision, board.epoch];
  board.epoch = data.epoch;
  board.melInk = null; // the theme may have changed
  if (revision !== data.revision) board.load(data);
  else if (epoch !== data.epoch) board.adopt(data);
  else board.paint();
  return () => {
    boards.get(parentElement)?.close();
    boards.delete(parentElement);
  };
}
