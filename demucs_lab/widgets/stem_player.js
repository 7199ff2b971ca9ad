// The stem player's page: rows of controls and a picture. What is heard is engine.js's.
import { clock, hear, lookUp, mixDown, peaks, spectrogram } from "./engine.js";
import { Transport } from "./transport.js";
import { button, h, inkOn, press, sharp, watchSize } from "./ui.js";
import { paintSpectrogram, paintWave, ruler } from "./paint.js";

const [ROW, RULER] = [38, 17];

class StemPlayer extends Transport {
  constructor(model, el) {
    super(model, el, "dl-player", `Stem player ${model.get("title")}`.trim());
    this.at = this.get("position");
    this.pictures = new Map();
    this.listen("solo mute gain system", () => this.onMix());
    this.listen("tracks", () => this.onTracks());
    this.listen("position", () => this.deck || this.seek(this.get("position"), false));
    this.listen("view title note scores", () => this.refresh());
    this.supply.want(this.get("tracks"));
    this.stopWatching = watchSize(this.line, () => this.paint());
  }

  get names() {
    const names = [...new Set(this.get("tracks").map((t) => t.name))];
    const mixture = this.get("mixture");
    return mixture ? [mixture, ...names.filter((n) => n !== mixture)] : names;
  }

  get gains() {
    return this.heard().gains;
  }

  heard() {
    const names = ["tracks", "systems", "mixture", "complete", "system", "solo", "mute", "gain"];
    return hear(Object.fromEntries(names.map((name) => [name, this.get(name)])));
  }

  // -------------------------------------------------------------------------- building

  build() {
    const { root } = this;
    this.title = h("span", { class: "dl-title" });
    this.systems = h("span", { class: "dl-systems", role: "group", "aria-label": "System" });
    this.viewButtons = ["waveform", "spectrogram"].map((view) =>
      button(root, `Show the ${view}`, view[0].toUpperCase() + view.slice(1), () => this.set({ view }), { "data-view": view }),
    );
    const views = h("span", { class: "dl-group", role: "group", "aria-label": "View" }, ...this.viewButtons);
    this.resetButton = button(root, "Reset solo, mute and gain", "Reset", () => this.reset());
    this.rowsBox = h("div", { class: "dl-rows" });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.ruler = h("div", { class: "dl-ruler", "aria-hidden": "true" });
    this.timeline("dl-view", h("div", { class: "dl-lanes" }), this.ruler, this.canvas);
    this.status = h("span", { role: "status", "aria-live": "polite" });
    this.keyHelp = h("span", { class: "dl-soft dl-keys" });
    root.append(
      h("div", { class: "dl-bar" }, this.playButton, this.time, this.title, h("span", { class: "dl-grow" }), this.loopButton, views, this.resetButton),
      this.systemBar = h("div", { class: "dl-bar" }, h("span", { class: "dl-soft" }, "Listen to"), this.systems),
      h("div", { class: "dl-deck" }, this.rowsBox, this.line),
      h("div", { class: "dl-foot" }, this.status, this.keyHelp),
    );
    this.buildRows();
  }

  buildRows() {
    const mixture = this.get("mixture");
    let number = mixture ? 0 : 1;
    this.rows = new Map(this.names.map((name) => [name, this.buildRow(name, number++, name === mixture)]));
    this.rowsBox.replaceChildren(...[...this.rows.values()].map((row) => row.box));
    this.line.style.height = `${RULER + this.rows.size * ROW}px`;
    const short = this.get("systems").length > 5;
    this.systemButtons = this.get("systems").map((system) => {
      const missing = system.kind === "missing";
      const label = missing ? `${system.name}: original minus ${system.of}` : `Listen to ${system.name}`;
      const text = missing && short ? "missing" : system.name;
      return button(this.root, label, text, () => this.chooseSystem(system.name), { "data-system": system.name });
    });
    const groups = [];
    for (const [k, system] of this.get("systems").entries()) {
      if (system.kind !== "missing") groups.push(h("span", { class: "dl-group" }));
      groups.at(-1).append(this.systemButtons[k]);
    }
    this.systems.replaceChildren(...groups);
    this.systemBar.hidden = this.systemButtons.length < 2;
    const last = Math.min(9, this.rows.size - (mixture ? 1 : 0));
    const compare = this.systemButtons.length > 1 ? " · a b compare" : "";
    const solo = last > 1 ? ` · 1–${last} solo` : "";
    this.keyHelp.textContent = `space play${solo} · ← → seek${compare} · l loop`;
  }

  buildRow(name, number, isMixture) {
    const color = this.get("tracks").find((t) => t.name === name).color;
    const key = number <= 9 ? ` (${number})` : "";
    const solo = button(this.root, `Solo ${name}${key}`, "S", (event) => this.toggleSolo(name, event.shiftKey), { class: "dl-solo" });
    const mute = isMixture ? h("span") : button(this.root, `Mute ${name}`, "M", () => this.toggleMute(name), { class: "dl-mute" });
    const gainLabel = isMixture ? "Volume of everything, in dB" : `Gain of ${name}, in dB`;
    const slider = h("input", { type: "range", min: "-36", max: "6", step: "0.5", "aria-label": gainLabel, title: `${gainLabel} (double-click: 0 dB)` });
    slider.addEventListener("input", () => this.setGain(name, Number(slider.value)));
    slider.addEventListener("dblclick", () => this.setGain(name, 0));
    slider.addEventListener("pointerup", () => this.root.focus({ preventScroll: true }));
    const db = h("span", { class: "dl-db" });
    const score = h("span", { class: "dl-score" });
    const box = h("div", { class: "dl-row", role: "group", "aria-label": name, "data-row": name },
      h("span", { class: "dl-key", style: `background:${color};color:${inkOn(color)}`, "aria-hidden": "true" }, number <= 9 ? String(number) : ""),
      h("span", { class: "dl-name", title: name }, name, score), solo, mute, slider, db);
    return { box, solo, mute: isMixture ? null : mute, slider, db, score, color };
  }

  // -------------------------------------------------------------------------- acting

  moved() {
    this.spoken = `At ${clock(this.at)}`;
    this.set({ position: this.at });
    if (!this.deck) this.refresh();
  }

  toggleSolo(name, together = false) {
    const solo = this.get("solo");
    const mixture = this.get("mixture");
    if (solo.includes(name)) return this.set({ solo: solo.filter((n) => n !== name) });
    const others = together && name !== mixture ? solo.filter((n) => n !== mixture) : [];
    this.set({ solo: [...others, name], mute: this.get("mute").filter((n) => n !== name) });
  }

  toggleMute(name) {
    const mute = this.get("mute");
    const on = mute.includes(name);
    this.set({
      mute: on ? mute.filter((n) => n !== name) : [...mute, name],
      solo: this.get("solo").filter((n) => n !== name),
    });
  }

  setGain(name, db) {
    this.set({ gain: { ...this.get("gain"), [name]: db } });
  }

  reset() {
    this.set({ solo: [], mute: [], gain: {} });
  }

  chooseSystem(name) {
    if (name !== this.get("systems")[0].name) this.lastSystem = name;
    this.set({ system: name });
  }

  keys(key) {
    const systems = this.get("systems");
    const found = { a: () => this.chooseSystem(systems[0].name) };
    if (systems.length > 1) found.b = () => this.chooseSystem(this.lastSystem ?? systems[1].name);
    const name = /^[0-9]$/.test(key) && this.names[this.get("mixture") ? Number(key) : Number(key) - 1];
    if (name) found[key] = () => this.toggleSolo(name);
    return found;
  }

  // -------------------------------------------------------------------------- reacting

  onSupply(state) {
    this.pictures.clear();
    super.onSupply(state);
    if (this.ready && this.deck) this.seek(this.position(), false);
  }

  onTracks() {
    this.pictures.clear();
    this.buildRows();
    this.supply.want(this.get("tracks"));
    this.refresh();
  }

  onMix() {
    this.deck?.setGains(this.gains);
    this.refresh();
  }

  // -------------------------------------------------------------------------- showing

  refresh() {
    const heard = this.heard();
    const scores = lookUp(this.get("scores"), this.get("system"), {});
    for (const [name, row] of this.rows) {
      const db = lookUp(this.get("gain"), name, 0);
      press(row.solo, this.get("solo").includes(name));
      if (row.mute) press(row.mute, this.get("mute").includes(name));
      if (Number(row.slider.value) !== db) row.slider.value = String(db);
      row.db.textContent = `${db > 0 ? "+" : db < 0 ? "−" : ""}${Math.abs(db).toFixed(1)} dB`;
      row.slider.setAttribute("aria-valuetext", row.db.textContent);
      row.box.classList.toggle("dl-quiet", !heard.rows.includes(name));
      const scored = Object.hasOwn(scores, name);
      row.score.textContent = scored ? `SDR ${scores[name].toFixed(1).replace("-", "−")} dB` : "";
      row.box.setAttribute("aria-label", name + (scored ? `, ${row.score.textContent}` : ""));
    }
    for (const element of this.systemButtons) press(element, element.dataset.system === this.get("system"));
    for (const element of this.viewButtons) press(element, element.dataset.view === this.get("view"));
    this.resetButton.disabled = !(this.get("solo").length || this.get("mute").length || Object.values(this.get("gain")).some(Boolean));
    this.title.textContent = this.get("title");
    const system = this.get("systems").length > 1 ? ` · ${this.get("system")}` : "";
    const hearing = `You hear: ${heard.hearing}${system}`;
    this.refreshTransport([this.deck ? "Playing" : this.spoken, hearing, this.clips(), this.get("note")]);
    this.paint();
  }

  /** A picture computed once per key, until the sound changes. */
  once(key, make) {
    if (this.pictures.has(key)) return this.pictures.get(key);
    if (this.pictures.size > 150) this.pictures.clear();
    this.pictures.set(key, make());
    return this.pictures.get(key);
  }

  rowGains(name, system) {
    const mix = Object.fromEntries(["tracks", "systems", "mixture", "complete"].map((n) => [n, this.get(n)]));
    return hear({ ...mix, system, solo: [name], mute: [], gain: {} }).gains;
  }

  rowWave(name, system, columns) {
    return this.once(`wave ${columns} ${system} ${name}`, () => {
      const gains = this.rowGains(name, system);
      return Object.values(gains).some(Boolean) ? peaks(mixDown(this.supply.buffers, gains), columns) : null;
    });
  }

  rowPeak(name) {
    const wave = this.rowWave(name, this.get("systems")[0].name, 1);
    return wave ? Math.max(-wave[0], wave[1]) : 0;
  }

  /** The level at a row's edge: one for all stems, that they may be compared. */
  scale(name) {
    if (!this.ready) return 1;
    const mixture = this.get("mixture");
    const stems = this.names.filter((other) => other !== mixture);
    return name === mixture ? this.rowPeak(name) : Math.max(0.02, ...stems.map((stem) => this.rowPeak(stem)));
  }

  /** Whether the sum that is heard leaves full scale, which the sound card would cut off. */
  clips() {
    if (!this.ready || !Object.values(this.get("gain")).some((db) => db > 0)) return "";
    const { gains } = this;
    const [low, high] = this.once(`peak ${JSON.stringify(gains)}`, () => peaks(mixDown(this.supply.buffers, gains), 1));
    return Math.max(-low, high) > 1 ? "too loud, it clips: turn a gain down" : "";
  }

  paint() {
    const width = this.line.clientWidth;
    if (!width) return;
    const height = RULER + this.rows.size * ROW;
    const pen = sharp(this.canvas, width, height);
    this.writeRuler(width);
    const heard = this.heard();
    const spectral = this.get("view") === "spectrogram" && this.ready;
    if (spectral) this.paintHeard(pen, width, heard);
    let top = RULER;
    for (const [name, row] of this.rows) {
      if (!spectral) {
        const wave = this.ready ? this.rowWave(name, this.get("system"), Math.min(width, 1200)) : null;
        paintWave(pen, wave, top + 1, width, ROW - 2, this.scale(name), row.color, heard.rows.includes(name));
      }
      top += ROW;
    }
    this.moveHead();
  }

  writeRuler(width) {
    const marks = ruler(width, this.duration);
    this.ruler.replaceChildren(...marks.map(({ at, text }) => h("span", { style: `left:${(100 * at) / this.duration}%` }, text)));
  }

  /** The spectrogram of what is heard; while a gain is still moving, the last one stays. */
  paintHeard(pen, width, { gains }) {
    const samplerate = this.get("samplerate");
    const [low, high] = [40, samplerate / 2];
    const height = this.rows.size * ROW;
    const [columns, rows] = [Math.min(700, Math.round(width)), Math.min(220, height)];
    const key = `spectrogram ${columns} ${rows} ${JSON.stringify(gains)}`;
    clearTimeout(this.soon);
    if (this.pictures.has(key)) this.lastPicture = { data: this.pictures.get(key), columns, rows };
    else {
      this.soon = setTimeout(() => {
        this.once(key, () => spectrogram(mixDown(this.supply.buffers, gains), samplerate, columns, rows, { low, high }));
        this.paint();
      }, 60);
    }
    const last = this.lastPicture;
    if (last) paintSpectrogram(pen, last.data, last.columns, last.rows, RULER, width, height, low, high);
  }

  close() {
    clearTimeout(this.soon);
    this.stopWatching();
    super.close();
  }
}

export default {
  render({ model, el }) {
    const player = new StemPlayer(model, el);
    return () => player.close();
  },
};
