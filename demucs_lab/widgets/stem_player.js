// The stem player's page: rows of controls, one canvas, one playhead. What is heard is engine.js's.
import { Deck, clock, hear, mixDown, peaks, renderOffline, spectrogram, tidyLoop } from "./engine.js";
import { ICON, NO_DEVICE, Supply, button, h, inkOn, leaveTheFloor, press, runningContext, saveChanges, sharp, stage, takeTheFloor, watchSize } from "./ui.js";
import { paintSpectrogram, paintWave, ruler } from "./paint.js";

const [ROW, RULER] = [38, 17];

class StemPlayer {
  constructor(model, el) {
    this.model = model;
    this.deck = null;
    this.at = model.get("position");
    this.ready = false;
    this.pictures = new Map();
    this.root = stage(el, "dl-player", `Stem player ${model.get("title")}`.trim());
    this.root.player = this;
    this.build();
    this.supply = new Supply(model, this.get("samplerate"), (state) => this.onSupply(state));
    this.listeners = [
      ["solo mute gain system", () => this.onMix()],
      ["tracks", () => this.onTracks()],
      ["loop looping", () => this.onLoop()],
      ["position", () => this.deck || this.seek(this.get("position"), false)],
      ["view title note scores", () => this.refresh()],
    ].flatMap(([names, f]) => names.split(" ").map((name) => [`change:${name}`, f]));
    for (const [name, f] of this.listeners) model.on(name, f);
    this.stopWatching = watchSize(this.view, () => this.paint());
    this.supply.want(this.get("tracks"));
    this.refresh();
  }

  get(name) {
    return this.model.get(name);
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    saveChanges(this.model);
  }

  get duration() {
    return this.get("frames") / this.get("samplerate");
  }

  get names() {
    const names = [...new Set(this.get("tracks").map((t) => t.name))];
    const mixture = this.get("mixture");
    return mixture ? [mixture, ...names.filter((n) => n !== mixture)] : names;
  }

  get loop() {
    return this.get("looping") && this.get("loop").length ? this.get("loop") : null;
  }

  heard() {
    const names = ["tracks", "systems", "mixture", "complete", "system", "solo", "mute", "gain"];
    return hear(Object.fromEntries(names.map((name) => [name, this.get(name)])));
  }

  // -------------------------------------------------------------------------- building

  build() {
    const { root } = this;
    this.playButton = button(root, "Play", "", () => this.toggle(), { class: "dl-play", disabled: true });
    this.time = h("span", { class: "dl-time" });
    this.title = h("span", { class: "dl-title" });
    this.systems = h("span", { class: "dl-systems", role: "group", "aria-label": "System" });
    this.loopButton = button(root, "Loop (L): drag on the waveforms to choose the part", "Loop", () => this.toggleLoop());
    this.viewButtons = ["waveform", "spectrogram"].map((view) =>
      button(root, `Show the ${view}`, view[0].toUpperCase() + view.slice(1), () => this.set({ view }), { "data-view": view }),
    );
    const views = h("span", { class: "dl-group", role: "group", "aria-label": "View" }, ...this.viewButtons);
    this.resetButton = button(root, "Reset solo, mute and gain", "Reset", () => this.reset());
    this.rowsBox = h("div", { class: "dl-rows" });
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.ruler = h("div", { class: "dl-ruler", "aria-hidden": "true" });
    this.loopBox = h("div", { class: "dl-loop", hidden: true });
    this.head = h("div", { class: "dl-head" });
    this.view = h("div", {
      class: "dl-view", role: "slider", tabindex: "0", "aria-label": "Position",
      "aria-valuemin": "0", "aria-orientation": "horizontal",
    }, h("div", { class: "dl-lanes" }), this.ruler, this.canvas, this.loopBox, this.head);
    this.status = h("span", { role: "status", "aria-live": "polite" });
    this.keys = h("span", { class: "dl-soft dl-keys" });
    root.append(
      h("div", { class: "dl-bar" }, this.playButton, this.time, this.title, h("span", { class: "dl-grow" }), this.loopButton, views, this.resetButton),
      this.systemBar = h("div", { class: "dl-bar" }, h("span", { class: "dl-soft" }, "Listen to"), this.systems),
      h("div", { class: "dl-deck" }, this.rowsBox, this.view),
      h("div", { class: "dl-foot" }, this.status, this.keys),
    );
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.view.addEventListener("pointerdown", (event) => this.onPointer(event));
    this.buildRows();
  }

  buildRows() {
    const mixture = this.get("mixture");
    let number = mixture ? 0 : 1;
    this.rows = new Map(this.names.map((name) => [name, this.buildRow(name, number++, name === mixture)]));
    this.rowsBox.replaceChildren(...[...this.rows.values()].map((row) => row.box));
    this.view.style.height = `${RULER + this.rows.size * ROW}px`;
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
    this.systems.style.cssText = "display:inline-flex;flex-wrap:wrap;gap:6px";
    this.systemBar.hidden = this.systemButtons.length < 2;
    this.systemBar.style.display = this.systemBar.hidden ? "none" : "";
    const last = Math.min(9, this.rows.size - (mixture ? 1 : 0));
    const compare = this.systemButtons.length > 1 ? " · a b compare" : "";
    this.keys.textContent = `space play · 1–${last} solo · ← → seek${compare} · l loop`;
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

  async toggle() {
    if (this.deck) return this.pause();
    await this.play();
  }

  async play() {
    if (!this.ready || this.deck) return;
    takeTheFloor(this);
    this.context = await runningContext(this.get("samplerate"));
    this.problem = this.context ? "" : NO_DEVICE;
    if (!this.context || this.deck) return this.refreshStatus();
    if (this.at >= this.duration - 1e-3) this.at = 0;
    this.startDeck();
    this.announce();
    this.animate();
  }

  /** (Re)start all tracks together from `this.at`. */
  startDeck() {
    this.deck?.stop();
    const loop = this.loop;
    if (loop && (this.at < loop[0] || this.at >= loop[1])) this.at = loop[0];
    const when = this.context.currentTime + 0.02;
    const options = { offset: this.at, loop, when, fade: this.at > 0 };
    this.deck = new Deck(this.context, this.supply.buffers, this.heard().gains, options);
    this.paintState();
  }

  pause() {
    if (!this.deck) return;
    this.at = this.deck.position();
    this.deck.stop();
    this.deck = null;
    leaveTheFloor(this);
    this.set({ position: this.at });
    this.announce();
    this.moveHead();
    this.paintState();
  }

  animate() {
    if (!this.deck) return;
    if (this.deck.ended) {
      this.pause();
      this.seek(0);
      return;
    }
    this.moveHead();
    // Where the page is hidden no frame comes: a timer still sees the end of the song.
    cancelAnimationFrame(this.frame);
    clearTimeout(this.guard);
    this.frame = requestAnimationFrame(() => this.animate());
    this.guard = setTimeout(() => this.animate(), 1000);
  }

  position() {
    return this.deck ? this.deck.position() : this.at;
  }

  seek(seconds, push = true) {
    this.at = Math.min(this.duration, Math.max(0, seconds));
    if (this.deck) this.startDeck();
    this.moveHead();
    if (push) this.set({ position: this.at });
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

  toggleLoop() {
    const loop = this.get("loop").length ? this.get("loop") : [0, this.duration];
    this.set({ loop, looping: !this.get("looping") });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    const systems = this.get("systems");
    const slider = target.matches("input[type=range]");
    const act = {
      " ": () => !target.matches("button") && (this.toggle(), true),
      ArrowLeft: () => !slider && (this.seek(this.position() - (event.shiftKey ? 5 : 1)), true),
      ArrowRight: () => !slider && (this.seek(this.position() + (event.shiftKey ? 5 : 1)), true),
      Home: () => !slider && (this.seek(0), true),
      End: () => !slider && (this.seek(this.duration), true),
      a: () => (this.chooseSystem(systems[0].name), true),
      b: () => systems.length > 1 && (this.chooseSystem(this.lastSystem ?? systems[1].name), true),
      l: () => (this.toggleLoop(), true),
    }[key.length === 1 ? key.toLowerCase() : key];
    let done = act?.();
    if (/^[0-9]$/.test(key)) {
      const name = this.names[this.get("mixture") ? Number(key) : Number(key) - 1];
      if (name) done = (this.toggleSolo(name), true);
    }
    if (done) event.preventDefault();
    event.stopPropagation();
  }

  /** Click seeks; drag draws the loop. */
  onPointer(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.root.focus({ preventScroll: true });
    const box = this.view.getBoundingClientRect();
    const time = (e) => ((e.clientX - box.left) / box.width) * this.duration;
    const [start, startX] = [time(event), event.clientX];
    let loop = null;
    const move = (e) => {
      if (Math.abs(e.clientX - startX) < 5 && !loop) return;
      loop = tidyLoop(start, time(e), this.duration) ?? loop;
      if (loop) this.showLoop(loop, true);
    };
    const up = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      if (loop) this.set({ loop, looping: true });
      else this.seek(start);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }

  // -------------------------------------------------------------------------- reacting

  onSupply({ loaded, wanted, problem }) {
    const before = this.ready;
    this.problem = problem;
    this.progress = loaded < wanted ? `Loading sound ${loaded} of ${wanted}` : "";
    this.ready = loaded === wanted;
    if (this.ready) {
      this.pictures.clear();
      if (this.deck) this.seek(this.position(), false);
      const stems = this.names.filter((name) => name !== this.get("mixture"));
      this.scale = Math.max(0.02, ...stems.map((name) => this.rowPeak(name)));
    }
    if (!this.ready && before && this.deck) this.pause();
    this.refresh();
  }

  onTracks() {
    this.pictures.clear();
    this.buildRows();
    this.supply.want(this.get("tracks"));
    this.refresh();
  }

  onMix() {
    this.deck?.setGains(this.heard().gains);
    this.refresh();
  }

  onLoop() {
    if (this.deck) {
      this.at = this.deck.position();
      this.startDeck();
    } else if (this.loop && (this.at < this.loop[0] || this.at >= this.loop[1])) {
      this.seek(this.loop[0]);
    }
    this.refresh();
  }

  announce() {
    this.spoken = this.deck ? "Playing" : `Paused at ${clock(this.at)}`;
    this.refreshStatus();
  }

  // -------------------------------------------------------------------------- showing

  refresh() {
    const heard = this.heard();
    const scores = this.get("scores")[this.get("system")] ?? {};
    for (const [name, row] of this.rows) {
      const db = this.get("gain")[name] ?? 0;
      press(row.solo, this.get("solo").includes(name));
      if (row.mute) press(row.mute, this.get("mute").includes(name));
      if (Number(row.slider.value) !== db) row.slider.value = String(db);
      row.db.textContent = `${db > 0 ? "+" : db < 0 ? "−" : ""}${Math.abs(db).toFixed(1)} dB`;
      row.slider.setAttribute("aria-valuetext", row.db.textContent);
      row.box.classList.toggle("dl-quiet", !heard.rows.includes(name));
      row.score.textContent = name in scores ? `SDR ${scores[name].toFixed(1).replace("-", "−")} dB` : "";
      row.box.setAttribute("aria-label", name + (name in scores ? `, ${row.score.textContent}` : ""));
    }
    for (const element of this.systemButtons) press(element, element.dataset.system === this.get("system"));
    for (const element of this.viewButtons) press(element, element.dataset.view === this.get("view"));
    press(this.loopButton, this.get("looping"));
    this.resetButton.disabled = !(this.get("solo").length || this.get("mute").length || Object.values(this.get("gain")).some(Boolean));
    this.title.textContent = this.get("title");
    this.showLoop(this.get("loop"), this.get("looping"));
    this.refreshStatus();
    this.paintState();
    this.moveHead();
    this.paint();
  }

  refreshStatus() {
    const system = this.get("systems").length > 1 ? ` · ${this.get("system")}` : "";
    const parts = [this.spoken, `You hear: ${this.heard().hearing}${system}`, this.clips(), this.get("note")];
    const text = this.problem || this.progress || parts.filter(Boolean).join(" · ");
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.classList.toggle("dl-problem", Boolean(this.problem));
  }

  paintState() {
    const playing = Boolean(this.deck);
    if (this.shown !== playing) this.playButton.innerHTML = playing ? ICON.pause : ICON.play;
    this.shown = playing;
    this.playButton.disabled = !this.ready;
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.playButton.title = playing ? "Pause (space)" : "Play (space)";
  }

  moveHead() {
    const at = this.position();
    const width = this.view.clientWidth;
    this.head.style.transform = `translateX(${(at / this.duration) * width - 1}px)`;
    const text = `${clock(at)} / ${clock(this.duration)}`;
    if (this.time.textContent === text) return;
    this.time.textContent = text;
    this.view.setAttribute("aria-valuemax", this.duration.toFixed(1));
    this.view.setAttribute("aria-valuenow", at.toFixed(1));
    this.view.setAttribute("aria-valuetext", text);
  }

  showLoop(loop, on) {
    this.loopBox.hidden = !loop.length;
    if (!loop.length) return;
    this.loopBox.style.left = `${(100 * loop[0]) / this.duration}%`;
    this.loopBox.style.width = `${(100 * (loop[1] - loop[0])) / this.duration}%`;
    this.loopBox.classList.toggle("dl-off", !on);
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

  /** Whether the sum that is heard leaves full scale, which the sound card would cut off. */
  clips() {
    if (!this.ready || !Object.values(this.get("gain")).some((db) => db > 0)) return "";
    const gains = this.heard().gains;
    const [low, high] = this.once(`peak ${JSON.stringify(gains)}`, () => peaks(mixDown(this.supply.buffers, gains), 1));
    return Math.max(-low, high) > 1 ? "too loud, it clips: turn a gain down" : "";
  }

  paint() {
    const width = this.view.clientWidth;
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
        const scale = this.ready && name === this.get("mixture") ? this.rowPeak(name) : this.scale;
        paintWave(pen, wave, top + 1, width, ROW - 2, scale, row.color, heard.rows.includes(name));
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

  /** For tests: exactly what plays, computed without a sound card. */
  render() {
    return renderOffline(this.supply.buffers, this.heard().gains, this.get("samplerate"));
  }

  close() {
    this.pause();
    clearTimeout(this.guard);
    clearTimeout(this.soon);
    this.stopWatching();
    this.supply.close();
    for (const [name, f] of this.listeners) this.model.off(name, f);
  }
}

export default {
  render({ model, el }) {
    const player = new StemPlayer(model, el);
    return () => player.close();
  },
};
