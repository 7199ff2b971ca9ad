// A model without a kernel: what a page made by `to_html` puts in Python's place.
import { Judge } from "./engine.js";

class PageModel {
  constructor(state, sounds) {
    Object.assign(this, { state, sounds, listeners: new Map() });
    if ("trials" in state) this.restart();
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    this.emit(`change:${name}`);
  }

  save_changes() {}

  on(name, listener) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }

  off(name, listener) {
    this.listeners.set(name, (this.listeners.get(name) ?? []).filter((l) => l !== listener));
  }

  emit(name, ...values) {
    for (const listener of this.listeners.get(name) ?? []) listener(...values);
  }

  send(message) {
    if (message.type === "want-audio") for (const id of message.ids) this.deliver(id);
    if (message.type === "answer" && message.trial === this.judge.trial + 1) this.answer(message.choice);
    if (message.type === "restart") this.restart();
  }

  /** One track, after the caller has finished, as a kernel would. */
  async deliver(id) {
    const version = this.state.tracks.find((t) => t.id === id).version;
    const sound = id === "X" ? this.judge.withX((who) => this.sounds[who]) : this.sounds[id];
    const bytes = Uint8Array.from(atob(sound), (c) => c.charCodeAt(0));
    await null;
    this.emit("msg:custom", { type: "audio", id, version }, [new DataView(bytes.buffer)]);
  }

  restart() {
    this.judge = new Judge(this.state.trials);
    this.round = (this.round ?? 0) + 1;
    this.set("abx_log", []);
    this.listTracks();
  }

  answer(choice) {
    this.set("abx_log", [...this.judge.answer(choice)]);
    this.listTracks();
  }

  listTracks() {
    const tracks = ["A", "B"].map((id) => ({ id, version: "1" }));
    if (this.judge.trial < this.state.trials) tracks.push({ id: "X", version: `${this.round}.${this.judge.trial + 1}` });
    this.set("tracks", tracks);
  }
}

export function startPage(widget, content) {
  const { state, sounds } = JSON.parse(content);
  return widget.render({ model: new PageModel(state, sounds), el: document.getElementById("widget") });
}
