// One pane: the lanes of one strategy, or of the difference between two.

const nameMap = (...parts) => JSON.stringify(parts);
const WAIT = { fusion: "Working out this class: a moment.", input: "Attributing what was written, seen and heard: some seconds." };

// Under a heavy strategy attributions are there to be asked for.
const asksFor = (card) => card?.heavy && card.prediction && !card.chance;
const HAS = { attribution: (card) => card?.attributions?.length > 0 || asksFor(card), attention: (card) => card?.groups?.length > 0 };
const offeredBy = (cards) => Object.keys(HAS).filter((view) => cards.every(HAS[view]));

class Pane {
  constructor(board, root, role) {
    [this.board, this.root, this.role] = [board, root, role];
    this.chips = [];
    root.dataset.pane = role;
  }

  lane = (modality) => this.root.querySelector(`[data-lane="${modality}"]`);

  card() {
    const { board } = this;
    return this.role === "beside" ? (board.named(board.ui.beside) ?? board.strategy()) : board.strategy();
  }

  axis(modality) {
    const index = this.card().axes?.[modality];
    return index === undefined ? null : this.board.data.axes[index];
  }

  // The same token on this pane's axis: strategies may read different tokens.
  token = (token) => token && this.board.moved(token, this.board.strategy(), this.card());
  hover = (token) => this.board.hover(token && this.board.moved(token, this.card(), this.board.strategy()));
  // Walking by keyboard is said aloud as well: the sentence under the map.
  walk(token) {
    this.hover(token);
    requestAnimationFrame(() => (this.board.root.querySelector(".live").textContent = this.root.querySelector(".line").textContent));
  }
  pin(token) {
    const own = this.board.moved(token, this.card(), this.board.strategy());
    if (own) this.board.pin(own);
  }

  // The view asked for where this strategy has it, else the other one. Side by side both show the same view, for
  // there is a difference to draw of one view only.
  view() {
    const { board } = this;
    const offers = board.offers();
    const { wanted } = board.ui;
    return offers.includes(wanted) ? wanted : (offers[0] ?? offeredBy([this.card()])[0] ?? "none");
  }

  // The layer chosen by name, else the last one in which a modality reads another.
  groupIndex() {
    const groups = this.card().groups ?? [];
    const named = groups.findIndex((group) => group.label === this.board.ui.layer);
    const crossing = groups.findLastIndex((group) => group.maps.some((map) => map.query !== map.key));
    return named >= 0 ? named : Math.max(0, crossing);
  }
  group = () => this.card().groups?.[this.groupIndex()];

  // Which way attention is read: raw, or followed through the layers where the strategy's layers can be followed.
  map() {
    const { map } = this.board.ui;
    return (this.card().scores ?? []).some((scores) => scores.method === map) ? map : "raw";
  }
  attentionScores() {
    const target = this.board.target();
    return (this.card().scores ?? []).find((scores) => scores.method === this.map() && (scores.target === null || scores.target === target));
  }

  attribution() {
    const name = this.board.attributionName();
    return (this.card().attributions ?? []).find((a) => a.name === name) ?? null;
  }
  waiting = () => WAIT[this.board.ui.seam] ?? WAIT.fusion;

  // The name of the map that is shown, spelled as the server spells it; none where there is no map to judge.
  mapName() {
    const view = this.view();
    if (this.role === "difference" || view === "none") return "";
    if (view === "attribution") return this.attribution()?.name ?? "";
    const head = this.board.ui.head < 0 ? "" : String(this.board.ui.head + 1);
    if (this.map() === "raw") return nameMap("raw", this.group().label, head);
    const scores = this.attentionScores();
    return scores ? nameMap(scores.method, scores.target ?? "", "") : "";
  }
  judged = () => this.card().judged?.[`${this.mapName()} ${this.board.target()}`];

  build() {
    this.words = undefined;
    buildImage(this);
    buildAudio(this);
  }

  paint() {
    const head = this.root.querySelector(".pane-head");
    head.hidden = !this.board.ui.beside;
    const names = { main: this.card().label, beside: this.card().label, difference: "difference: second minus first" };
    head.textContent = names[this.role];
    paintLanes(this);
    // Rebuilt for other words only: whoever is walking over them by keyboard keeps the place.
    const words = JSON.stringify(this.axis("text")?.labels ?? null);
    if (this.words !== words) {
      this.words = words;
      buildWords(this);
    } else foldWords(this);
  }

  draw() {
    const look = lookAt(this);
    paintWords(this, look);
    drawImage(this, look);
    drawAudio(this, look);
    paintLine(this, look);
    paintBadge(this, look);
  }
}
