// Play, pause, seek and loop: what every widget that sounds does alike.
import { Deck, clock, renderOffline, tidyLoop } from "./engine.js";
import { ICON, NO_DEVICE, Supply, button, h, leaveTheFloor, press, runningContext, saveChanges, stage, takeTheFloor } from "./ui.js";

/**
 * A widget says what is heard (`gains`), shows itself (`build`, `refresh`), and may listen to
 * `moved()` (the playhead was set or stopped) and to further keys (`keys(key)`).
 */
export class Transport {
  constructor(model, el, name, label) {
    Object.assign(this, { model, deck: null, at: 0, ready: false, problem: "", progress: "" });
    this.root = stage(el, name, label);
    this.root.player = this;
    this.playButton = button(this.root, "Play", "", () => this.toggle(), { class: "dl-play", disabled: true });
    this.time = h("span", { class: "dl-time" });
    this.loopButton = button(this.root, "Loop (L): drag on the line of time to choose the part", "Loop", () => this.toggleLoop());
    this.loopBox = h("div", { class: "dl-loop", hidden: true });
    this.head = h("div", { class: "dl-head" });
    this.build();
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.line.addEventListener("pointerdown", (event) => this.onPointer(event));
    this.supply = new Supply(model, this.get("samplerate"), (state) => this.onSupply(state));
    this.listeners = [];
    this.listen("loop looping", () => this.onLoop());
  }

  /** The element along which time runs: a click seeks, a drag draws the loop. */
  timeline(name, ...children) {
    const attributes = { role: "slider", tabindex: "0", "aria-label": "Position", "aria-valuemin": "0" };
    this.line = h("div", { class: name, ...attributes }, ...children, this.loopBox, this.head);
    return this.line;
  }

  listen(names, action) {
    for (const name of names.split(" ")) {
      this.listeners.push([`change:${name}`, action]);
      this.model.on(`change:${name}`, action);
    }
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

  get loop() {
    return this.get("looping") && this.get("loop").length ? this.get("loop") : null;
  }

  position() {
    return this.deck ? this.deck.position() : this.at;
  }

  moved() {}

  keys() {}

  // -------------------------------------------------------------------------- acting

  async toggle() {
    if (this.deck) return this.pause();
    if (!this.ready) return;
    takeTheFloor(this);
    this.context = await runningContext(this.get("samplerate"));
    this.problem = this.context ? "" : NO_DEVICE;
    if (this.context && !this.deck) {
      if (this.at >= this.duration - 1e-3) this.at = 0;
      this.startDeck();
      this.animate();
    }
    this.refresh();
  }

  /** (Re)start all tracks together from `this.at`. */
  startDeck() {
    this.deck?.stop();
    const loop = this.loop;
    if (loop && (this.at < loop[0] || this.at >= loop[1])) this.at = loop[0];
    const when = this.context.currentTime + 0.02;
    const options = { offset: this.at, loop, when, fade: this.at > 0 };
    this.deck = new Deck(this.context, this.supply.buffers, this.gains, options);
  }

  pause() {
    if (!this.deck) return;
    this.at = this.deck.position();
    this.deck.stop();
    this.deck = null;
    leaveTheFloor(this);
    this.refresh();
    this.moved();
  }

  animate() {
    if (!this.deck) return;
    if (this.deck.ended) {
      this.pause();
      return this.seek(0);
    }
    this.moveHead();
    // Where the page is hidden no frame comes: a timer still sees the end of the song.
    cancelAnimationFrame(this.frame);
    clearTimeout(this.guard);
    this.frame = requestAnimationFrame(() => this.animate());
    this.guard = setTimeout(() => this.animate(), 1000);
  }

  seek(seconds, tell = true) {
    this.at = Math.min(this.duration, Math.max(0, seconds));
    if (this.deck) this.startDeck();
    this.moveHead();
    if (tell) this.moved();
  }

  toggleLoop() {
    const loop = this.get("loop").length ? this.get("loop") : [0, this.duration];
    this.set({ loop, looping: !this.get("looping") });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    const step = event.shiftKey ? 5 : 1;
    const free = !target.matches("input[type=range]");
    const act = {
      " ": !target.matches("button") && (() => this.toggle()),
      ArrowLeft: free && (() => this.seek(this.position() - step)),
      ArrowRight: free && (() => this.seek(this.position() + step)),
      Home: free && (() => this.seek(0)),
      End: free && (() => this.seek(this.duration)),
      l: () => this.toggleLoop(),
      ...this.keys(key),
    }[key.length === 1 ? key.toLowerCase() : key];
    if (act) {
      act();
      event.preventDefault();
    }
    event.stopPropagation();
  }

  onPointer(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.root.focus({ preventScroll: true });
    const box = this.line.getBoundingClientRect();
    const time = (e) => ((e.clientX - box.left) / box.width) * this.duration;
    const [start, startX] = [time(event), event.clientX];
    let loop = null;
    const move = (e) => {
      if (Math.abs(e.clientX - startX) < 5 && !loop) return;
      loop = tidyLoop(start, time(e), this.duration) ?? loop;
      if (loop) this.showLoop(loop, true);
    };
    const end = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (loop) this.set({ loop, looping: true });
      else this.seek(start);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  }

  // -------------------------------------------------------------------------- reacting

  onSupply({ loaded, wanted, problem }) {
    this.problem = problem;
    this.progress = loaded < wanted ? `Loading sound ${loaded} of ${wanted}` : "";
    this.ready = loaded === wanted;
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

  // -------------------------------------------------------------------------- showing

  /** The parts that all widgets show alike; `words` are said where there is nothing to complain. */
  refreshTransport(words) {
    const playing = Boolean(this.deck);
    if (this.shown !== playing) this.playButton.innerHTML = playing ? ICON.pause : ICON.play;
    this.shown = playing;
    this.playButton.disabled = !this.ready;
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.playButton.title = playing ? "Pause (space)" : "Play (space)";
    press(this.loopButton, this.get("looping"));
    const text = this.problem || this.progress || words.filter(Boolean).join(" · ");
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.classList.toggle("dl-problem", Boolean(this.problem));
    this.showLoop(this.get("loop"), this.get("looping"));
    this.moveHead();
  }

  moveHead() {
    const at = this.position();
    this.head.style.transform = `translateX(${(at / this.duration) * this.line.clientWidth - 1}px)`;
    const text = `${clock(at)} / ${clock(this.duration)}`;
    if (this.time.textContent === text) return;
    this.time.textContent = text;
    this.line.setAttribute("aria-valuemax", this.duration.toFixed(1));
    this.line.setAttribute("aria-valuenow", at.toFixed(1));
    this.line.setAttribute("aria-valuetext", text);
  }

  showLoop(loop, on) {
    this.loopBox.hidden = !loop.length;
    if (!loop.length) return;
    this.loopBox.style.left = `${(100 * loop[0]) / this.duration}%`;
    this.loopBox.style.width = `${(100 * (loop[1] - loop[0])) / this.duration}%`;
    this.loopBox.classList.toggle("dl-off", !on);
  }

  /** For tests: exactly what plays, computed without a sound card. */
  render() {
    return renderOffline(this.supply.buffers, this.gains, this.get("samplerate"));
  }

  close() {
    this.pause();
    clearTimeout(this.guard);
    this.supply.close();
    for (const [name, action] of this.listeners) this.model.off(name, action);
  }
}
