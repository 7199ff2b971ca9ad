// What the widgets share on a page: one clock and one voice, audio on request, small DOM helpers.

const HUB = (globalThis[Symbol.for("demucs_lab.widgets")] ??= openHub());

/** One per page. The channel reaches other frames: Colab gives every output one of its own. */
function openHub() {
  const hub = { contexts: new Map(), playing: null, channel: null };
  if (globalThis.BroadcastChannel) {
    hub.channel = new BroadcastChannel("demucs_lab.widgets");
    hub.channel.onmessage = () => hub.playing?.pause();
  }
  return hub;
}

/** The page's audio context for a rate: at the file's own rate nothing is resampled twice. */
export function audioContext(samplerate) {
  if (!HUB.contexts.has(samplerate)) {
    let context;
    try {
      context = new AudioContext({ sampleRate: samplerate, latencyHint: "interactive" });
    } catch {
      context = new AudioContext();
    }
    HUB.contexts.set(samplerate, context);
  }
  return HUB.contexts.get(samplerate);
}

export const NO_DEVICE = "The browser gives no sound: check its permission and the computer's sound output.";

/** The page's context, awake; null where the browser does not let it sound. */
export async function runningContext(samplerate) {
  const context = audioContext(samplerate);
  if (context.state === "running") return context;
  const patience = new Promise((resolve) => setTimeout(resolve, 2000));
  await Promise.race([context.resume().catch(() => {}), patience]);
  return context.state === "running" ? context : null;
}

/** `player` speaks now: whoever spoke before falls silent. */
export function takeTheFloor(player) {
  if (HUB.playing && HUB.playing !== player) HUB.playing.pause();
  HUB.playing = player;
  HUB.channel?.postMessage("playing");
}

export function leaveTheFloor(player) {
  if (HUB.playing === player) HUB.playing = null;
}

/** An AudioBuffer at the file's own rate. The bytes are copied: decoding detaches them. */
export function decode(bytes, samplerate) {
  const view = ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes);
  const copy = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  return new OfflineAudioContext(2, 1, samplerate).decodeAudioData(copy);
}

/**
 * Keeps `buffers` (id → AudioBuffer) in step with the tracks that Python lists: asks for what is
 * new or newer, one message back per track, and tells `changed({loaded, wanted, problem})`.
 */
export class Supply {
  constructor(model, samplerate, changed) {
    Object.assign(this, { model, samplerate, changed, buffers: new Map(), versions: new Map() });
    this.wanted = new Map();
    this.receive = (message, buffers) => this.#receive(message, buffers);
    model.on("msg:custom", this.receive);
  }

  want(tracks) {
    this.wanted = new Map(tracks.map((t) => [t.id, t.version]));
    for (const id of [...this.buffers.keys()]) {
      if (!this.wanted.has(id)) this.buffers.delete(id) && this.versions.delete(id);
    }
    const missing = tracks.filter((t) => this.versions.get(t.id) !== t.version).map((t) => t.id);
    clearTimeout(this.timer);
    if (missing.length) {
      this.model.send({ type: "want-audio", ids: missing });
      this.timer = setTimeout(() => {
        const problem =
          "No answer from Python: the sound comes from the kernel, which is not running or busy. " +
          "Run this cell again (Shift+Enter).";
        this.#tell(problem);
      }, 3000);
    }
    this.#tell();
  }

  get complete() {
    return [...this.wanted].every(([id, version]) => this.versions.get(id) === version);
  }

  close() {
    clearTimeout(this.timer);
    this.model.off("msg:custom", this.receive);
  }

  #tell(problem = "") {
    const loaded = [...this.wanted].filter(([id, v]) => this.versions.get(id) === v).length;
    this.changed({ loaded, wanted: this.wanted.size, problem });
  }

  async #receive(message, buffers) {
    if (message?.type !== "audio" || this.wanted.get(message.id) !== message.version) return;
    if (this.versions.get(message.id) === message.version) return;
    clearTimeout(this.timer);
    try {
      const buffer = await decode(buffers[0], this.samplerate);
      if (this.wanted.get(message.id) !== message.version) return;
      this.buffers.set(message.id, buffer);
      this.versions.set(message.id, message.version);
      this.#tell();
    } catch (error) {
      this.#tell(`This browser cannot decode the sound of ${message.id}: ${error.message}`);
    }
  }
}

export const ICON = {
  play: '<svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><path d="M3 1v12l10-6z"/></svg>',
  pause: '<svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><path d="M2 1h4v12H2zM8 1h4v12H8z"/></svg>',
};

/** Tell Python, if it still listens: a player goes on playing when its kernel has gone. */
export function saveChanges(model) {
  try {
    model.save_changes();
  } catch (error) {
    console.warn("demucs_lab: Python no longer listens to this widget", error);
  }
}

/** Black or white, whichever reads better on `#rrggbb`. */
export function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 130 ? "#111111" : "#ffffff";
}

/** `h("button", {class: "x", onclick: f}, "text", child)` */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/**
 * A button that a mouse presses without taking the keyboard's focus from `root`, so that after a
 * click the space bar still plays; with Tab it is reached and pressed like any other.
 */
export function button(root, label, text, action, attributes = {}) {
  const element = h("button", { type: "button", "aria-label": label, title: label, onclick: action, ...attributes }, text);
  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    root.focus({ preventScroll: true });
  });
  return element;
}

export function press(element, on) {
  element.setAttribute("aria-pressed", String(Boolean(on)));
}

/** The widget's outer box: focusable, and safe from JupyterLab's one-letter shortcuts. */
export function stage(el, name, label) {
  const root = h("div", {
    class: `dl ${name}`,
    role: "group",
    tabindex: "0",
    "aria-label": label,
    "data-lm-suppress-shortcuts": "true",
  });
  el.append(root);
  return root;
}

/**
 * Calls `draw` when the size or the pixel ratio changes; returns a function that stops it. The
 * theme is no reason to draw: all that depends on it is HTML, the canvas holds sources' colours.
 */
export function watchSize(element, draw) {
  const size = new ResizeObserver(draw);
  size.observe(element);
  let ratio;
  const ratioChanged = () => {
    ratio?.removeEventListener("change", ratioChanged);
    ratio = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    ratio.addEventListener("change", ratioChanged);
    draw();
  };
  ratioChanged();
  return () => {
    size.disconnect();
    ratio.removeEventListener("change", ratioChanged);
  };
}

/** A canvas context in CSS pixels, cleared, sharp on any screen. */
export function sharp(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}
