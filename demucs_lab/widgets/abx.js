// The blind test's page. It never holds who X is: Python (or, in a page of its own, a Judge) does.
import { verdict } from "./engine.js";
import { Transport } from "./transport.js";
import { button, h, press } from "./ui.js";

class Blind extends Transport {
  constructor(model, el) {
    super(model, el, "dl-abx", "Blind ABX test");
    this.choice = "X";
    this.listen("tracks", () => this.supply.want(this.get("tracks")));
    this.listen("abx_log", () => this.onLog());
    this.supply.want(this.get("tracks"));
  }

  get done() {
    return this.get("abx_log").length >= this.get("trials");
  }

  get gains() {
    return { A: 0, B: 0, X: 0, [this.choice]: 1 };
  }

  build() {
    const { root } = this;
    this.buttons = ["A", "B", "X"].map((key) => {
      const name = { A: this.get("names")[0], B: this.get("names")[1], X: "?" }[key];
      const own = name !== key;
      const label = key === "X" ? "Listen to X, which is A or B" : `Listen to ${key}${own ? `, ${name}` : ""}`;
      const element = button(root, label, key, () => this.choose(key), { "data-listen": key });
      if (own) element.append(h("small", {}, name));
      return element;
    });
    this.answers = ["A", "B"].map((key) =>
      button(root, `Answer: X is ${key}`, `X is ${key}`, () => this.answer(key), { "data-answer": key }));
    this.again = button(root, "Start a new test", "Start again", () => this.model.send({ type: "restart" }));
    this.dots = h("span", { class: "dl-dots", "aria-hidden": "true" });
    this.trial = h("span");
    this.verdict = h("div", { class: "dl-verdict", role: "status", "aria-live": "polite" });
    this.status = h("span", { role: "status", "aria-live": "polite" });
    const choice = h("span", { class: "dl-group dl-choice", role: "group", "aria-label": "Listen to" }, ...this.buttons);
    root.append(
      h("div", { class: "dl-bar" }, this.playButton, this.time, choice, h("span", { class: "dl-grow" }), this.loopButton),
      this.timeline("dl-line"),
      h("div", { class: "dl-bar" }, this.trial, ...this.answers, this.again, h("span", { class: "dl-grow" }), this.dots),
      this.verdict,
      h("div", { class: "dl-foot" }, this.status, h("span", { class: "dl-soft dl-keys" }, "space play · a b x switch · 1 2 answer · l loop")),
    );
  }

  keys() {
    const choose = Object.fromEntries(["A", "B", "X"].map((key) => [key.toLowerCase(), () => this.choose(key)]));
    return { ...choose, 1: () => this.answer("A"), 2: () => this.answer("B") };
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

  onLog() {
    this.asked = undefined;
    this.choice = this.done ? "A" : "X";
    this.pause();
    this.refresh();
  }

  refresh() {
    const [log, trials] = [this.get("abx_log"), this.get("trials")];
    for (const element of this.buttons) {
      press(element, element.dataset.listen === this.choice);
      element.disabled = element.dataset.listen === "X" && this.done;
    }
    for (const element of this.answers) {
      element.disabled = this.done || !this.ready;
      element.hidden = this.done;
    }
    this.again.hidden = !this.done;
    this.trial.textContent = this.done ? "Finished." : `Trial ${log.length + 1} of ${trials}`;
    this.dots.replaceChildren(...Array.from({ length: trials }, (_, k) => {
      if (!log[k]) return h("span", { class: k === log.length ? "dl-now" : "" });
      return h("span", { class: log[k].correct ? "dl-right" : "dl-wrong" }, log[k].correct ? "✓" : "✗");
    }));
    const last = log.at(-1);
    const told = last ? `X was ${last.truth}: ${last.correct ? "right" : "wrong"}. ` : "";
    const text = told + verdict(log, trials);
    if (this.verdict.textContent !== text) this.verdict.textContent = text;
    this.refreshTransport([this.deck ? "Playing" : "", `You hear: ${this.choice}`, this.get("note")]);
  }
}

export default {
  render({ model, el }) {
    const blind = new Blind(model, el);
    return () => blind.close();
  },
};
