// Similar records: the nearest in the fused space of the strategy that is chosen, each a way to open it.

function waveOf(wave) {
  const canvas = el("canvas", "near-wave");
  const pen = canvasOf(canvas, 84, 22);
  const peaks = new Int8Array(bytes(wave.peaks).buffer);
  const columns = peaks.length / 2;
  pen.fillStyle = "#8391a7";
  for (let i = 0; i < columns; i++) {
    const [low, high] = [peaks[i], peaks[columns + i]];
    pen.fillRect((i * 84) / columns, 11 - (high / 127) * 10, 0.8, Math.max(1, ((high - low) / 127) * 10));
  }
  return canvas;
}

function nearCard(board, near, record) {
  const entry = el("span", "near-entry");
  entry.setAttribute("role", "listitem");
  const item = el("button", "near-item");
  item.type = "button";
  item.dataset.open = near.id;
  const head = el("span", "near-head");
  head.append(el("span", "num", plain(near.similarity, 2)), el("span", "caption near-id", record.name));
  item.append(head);
  const media = el("span", "near-media");
  if (record.image) {
    const picture = el("img");
    picture.src = record.image;
    picture.alt = "";
    media.append(picture);
  }
  const side = el("span", "near-side");
  side.append(el("span", "near-text", record.text || "no text"));
  if (record.wave) {
    const sound = el("span", "near-sound");
    sound.append(waveOf(record.wave), el("span", "caption num", `${plain(record.wave.seconds, 1)} s`));
    side.append(sound);
  }
  media.append(side);
  item.append(media);
  const judged = record.label === null || near.prediction === null ? null : near.prediction === record.label;
  const [mark, tone] = verdictMark({ correct: judged });
  const said = el("span", "near-said");
  said.append(el("span", `mark ${tone}`, mark), el("span", "", near.prediction ?? "no answer"));
  if (near.confidence !== null) said.append(el("span", "num", plain(near.confidence)));
  said.append(el("span", "caption", record.label === null ? "truth not known" : `truth ${record.label}`));
  item.append(said);
  item.onclick = () => board.ask({ open: near.id });
  entry.append(item);
  return entry;
}

function nearSentence(board) {
  if (!board.data.compared.done) return "Looking for them.";
  if (!board.data.similar) return board.data.list.of < 2 ? "There is no answered record set to compare with." : "Answer all records of this set first: then the nearest ones stand here.";
  return "This strategy has no answers of other records to compare with.";
}

function paintSimilar(board) {
  const { similar } = board.data;
  const card = board.strategy();
  const list = board.root.querySelector(".near-list");
  // Rebuilt for another strategy or more data only: whoever tabs through the cards keeps the place.
  const shown = `${board.data.revision} ${board.data.stage} ${board.data.compared.done} ${card.name}`;
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  const near = similar?.near[card.name] ?? [];
  board.root.querySelector(".near-caption").textContent = near.length
    ? `nearest in the fused space of ${card.label} \u00b7 cosine of centred vectors${board.data.compared.set ? ` \u00b7 from ${board.data.compared.set}` : ""}`
    : "";
  put(list, ...(near.length ? near.map((n) => nearCard(board, n, similar.records[n.id])) : [el("p", "empty", nearSentence(board))]));
}
