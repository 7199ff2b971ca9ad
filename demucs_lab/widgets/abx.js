// The blind test's page. It never holds who X is: Python (or, in a page of its own, a Judge) does.
import { Deck, clock, renderOffline, tidyLoop, verdict } from "./engine.js";
import { ICON, NO_DEVICE, Supply, button, h, leaveTheFloor, press, runningContext, saveChanges, stage, takeTheFloor } from "./ui.js";

class Blind {
  constructor(model, el) {
    this.model = model;
    this.deck = null;
    this.at = 0;
    this.choice = "X";
    this.ready = false;
    this.root = stage(el, "dl-abx", "Blind ABX test");
    this.root.player = this;
    this.build();
    this.supply = new Supply(model, this.get("samplerate"), (state) => this.onSupply(state));
    this.listeners = [
      ["tracks", () => this.supply.want(this.get("tracks"))],
      ["abx_log", () => this.onLog()],
      ["loop", () => this.onLoop()],
      ["looping", () => this.onLoop()],
    ].map(([name, f]) => [`change:${name}`, f]);
    for (const [name, f] of this.listeners) model.on(name, f);
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

  get done() {
    return this.get("abx_log").length >= this.get("trials");
  }

  get loop() {
    return this.get("looping") && this.get("loop").length ? this.get("loop") : null;
  }

  get gains() {
    return { A: 0, B: 0, X: 0, [this.choice]: 1 };
  }

  build() {
    const { root } = this;
    const names = { A: this.get("names")[0], B: this.get("names")[1], X: "?" };
    const label = (key) => (names[key] === key ? [key] : [key, h("small", {}, names[key])]);
    this.playButton = button(root, "Play", "", () => this.toggle(), { class: "dl-play", disabled: true });
    this.time = h("span", { class: "dl-time" });
    this.listen = ["A", "B", "X"].map((key) => {
      const text = key === "X" ? "Listen to X, which is A or B" : `Listen to ${key}${names[key] === key ? "" : `, ${names[key]}`}`;
      const element = button(root, text, "", () => this.choose(key), { "data-listen": key });
      element.append(...label(key));
      return element;
    });
    this.loopButton = button(root, "Loop (L): drag on the line to choose the part", "Loop", () => this.toggleLoop());
    this.loopBox = h("div", { class: "dl-loop", hidden: true });
    this.head = h("div", { class: "dl-head" });
    this.line = h("div", {
      class: "dl-line", role: "slider", tabindex: "0", "aria-label": "Position", "aria-valuemin": "0",
    }, this.loopBox, this.head);
    this.answers = ["A", "B"].map((key) =>
      button(root, `Answer: X is ${key}`, `X is ${key}`, () => this.answer(key), { "data-answer": key }));
    this.again = button(root, "Start a new test", "Start again", () => this.model.send({ type: "restart" }));
    this.dots = h("span", { class: "dl-dots", "aria-hidden": "true" });
    this.trial = h("span");
    this.verdict = h("div", { class: "dl-verdict", role: "status", "aria-live": "polite" });
    this.status = h("span", { role: "status", "aria-live": "polite" });
    const keys = h("span", { class: "dl-soft dl-keys" }, "space play · a b x switch · 1 2 answer · l loop");
    root.append(
      h("div", { class: "dl-bar" }, this.playButton, this.time,
        h("span", { class: "dl-group dl-choice", role: "group", "aria-label": "Listen to" }, ...this.listen),
        h("span", { class: "dl-grow" }), this.loopButton),
      this.line,
      h("div", { class: "dl-bar" }, this.trial, ...this.answers, this.again, h("span", { class: "dl-grow" }), this.dots),
      this.verdict,
      h("div", { class: "dl-foot" }, this.status, keys),
    );
    root.addEventListener("keydown", (event) => this.onKey(event));
    this.line.addEventListener("pointerdown", (event) => this.onPointer(event));
  }

  // -------------------------------------------------------------------------- acting

  async toggle() {
    if (this.deck) return this.pause();
    if (!this.ready) return;
    takeTheFloor(this);
    this.context = await runningContext(this.get("samplerate"));
    this.problem = this.context ? "" : NO_DEVICE;
    if (!this.context || this.deck) return this.refresh();
    if (this.at >= this.duration - 1e-3) this.at = 0;
    this.startDeck();
    this.animate();
  }

  startDeck() {
    this.deck?.stop();
    const loop = this.loop;
    if (loop && (this.at < loop[0] || this.at >= loop[1])) this.at = loop[0];
    const options = { offset: this.at, loop, when: this.context.currentTime + 0.02, fade: true };
    this.deck = new Deck(this.context, this.supply.buffers, this.gains, options);
    this.refresh();
  }

  pause() {
    if (!this.deck) return;
    this.at = this.deck.position();
    this.deck.stop();
    this.deck = null;
    leaveTheFloor(this);
    this.refresh();
  }

  animate() {
    if (!this.deck) return;
    if (this.deck.ended) {
      this.pause();
      return this.seek(0);
    }
    this.moveHead();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.guard);
    this.frame = requestAnimationFrame(() => this.animate());
    this.guard = setTimeout(() => this.animate(), 1000);
  }

  position() {
    return this.deck ? this.deck.position() : this.at;
  }

  seek(seconds) {
    this.at = Math.min(this.duration, Math.max(0, seconds));
    if (this.deck) this.startDeck();
    this.moveHead();
  }

  choose(key) {
    if (key === "X" && this.done) return;
    this.choice = key;
    this.deck?.setGains(this.gains);
    this.refresh();
  }

  answer(choice) {
    if (this.done || !this.ready || this.asked === this.get("abx_log").length) return;
    this.asked = this.get("abx_log").length;
    this.pause();
    this.model.send({ type: "answer", trial: this.asked + 1, choice });
  }

  toggleLoop() {
    const loop = this.get("loop").length ? this.get("loop") : [0, this.duration];
    this.set({ loop, looping: !this.get("looping") });
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    const step = event.shiftKey ? 5 : 1;
    const act = {
      " ": () => !target.matches("button") && (this.toggle(), true),
      ArrowLeft: () => (this.seek(this.position() - step), true),
      ArrowRight: () => (this.seek(this.position() + step), true),
      Home: () => (this.seek(0), true),
      a: () => (this.choose("A"), true),
      b: () => (this.choose("B"), true),
      x: () => (this.choose("X"), true),
      1: () => (this.answer("A"), true),
      2: () => (this.answer("B"), true),
      l: () => (this.toggleLoop(), true),
    }[key.length === 1 ? key.toLowerCase() : key];
    if (act?.()) event.preventDefault();
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

  // -------------------------------------------------------------------------- reacting and showing

  onSupply({ loaded, wanted, problem }) {
    this.ready = loaded === wanted;
    this.problem = problem || (this.ready ? "" : `Loading sound ${loaded} of ${wanted}`);
    this.failed = Boolean(problem);
    this.refresh();
  }

  onLog() {
    this.asked = undefined;
    if (this.done && this.choice === "X") this.choice = "A";
    else if (!this.done) this.choice = "X";
    this.pause();
    this.refresh();
  }

  onLoop() {
    if (this.deck) {
      this.at = this.deck.position();
      this.startDeck();
    } else if (this.loop) this.at = this.loop[0];
    this.refresh();
  }

  refresh() {
    const [log, trials, playing] = [this.get("abx_log"), this.get("trials"), Boolean(this.deck)];
    this.playButton.innerHTML = playing ? ICON.pause : ICON.play;
    this.playButton.disabled = !this.ready;
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.playButton.title = playing ? "Pause (space)" : "Play (space)";
    for (const element of this.listen) {
      press(element, element.dataset.listen === this.choice);
      element.disabled = element.dataset.listen === "X" && this.done;
    }
    for (const element of this.answers) {
      element.disabled = this.done || !this.ready;
      element.hidden = this.done;
    }
    this.again.hidden = !this.done;
    press(this.loopButton, this.get("looping"));
    this.trial.textContent = this.done ? "Finished." : `Trial ${log.length + 1} of ${trials}`;
    this.dots.replaceChildren(...Array.from({ length: trials }, (_, k) => {
      const state = log[k] ? (log[k].correct ? "dl-right" : "dl-wrong") : k === log.length ? "dl-now" : "";
      return h("span", { class: state }, log[k] ? (log[k].correct ? "✓" : "✗") : "");
    }));
    const last = log.at(-1);
    const told = last ? `X was ${last.truth}: ${last.correct ? "right" : "wrong"}. ` : "";
    const text = told + verdict(log, trials);
    if (this.verdict.textContent !== text) this.verdict.textContent = text;
    const status = this.problem || [playing ? "Playing" : "", `You hear: ${this.choice}`, this.get("note")].filter(Boolean).join(" · ");
    if (this.status.textContent !== status) this.status.textContent = status;
    this.status.classList.toggle("dl-problem", Boolean(this.failed));
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

  render() {
    return renderOffline(this.supply.buffers, this.gains, this.get("samplerate"));
  }

  close() {
    this.pause();
    clearTimeout(this.guard);
    this.supply.close();
    for (const [name, f] of this.listeners) this.model.off(name, f);
  }
}

export default {
  render({ model, el }) {
    const blind = new Blind(model, el);
    return () => blind.close();
  },
};
