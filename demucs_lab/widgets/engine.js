// Everything a player computes, without a page: what is heard, when, and how it looks.
// `node --test` covers it, and an OfflineAudioContext renders exactly what a learner hears.

/** Seconds of a gain change: short enough to feel instant, long enough not to click. */
export const RAMP = 0.012;

export const dbToGain = (db) => 10 ** (db / 20);

/** What a table holds under a name, which may be "constructor" or "__proto__". */
export const lookUp = (table, name, otherwise) => (Object.hasOwn(table, name) ? table[name] : otherwise);

// ---------------------------------------------------------------------------- what is heard

/**
 * The gain of every track, and what that amounts to in words.
 *
 * A mix is `{tracks: [{id, name, system}], systems: [{name, kind, of}], mixture, complete,
 * system, solo: [name], mute: [name], gain: {name: dB}}`. `kind` is "reference", "estimate" or
 * "missing" (reference minus estimate of system `of`). The gain of the mixture's row is the
 * volume of everything. Untouched, the reference plays the mixture itself; once a stem is muted
 * or turned, the stems play, so nothing sounds twice. Where the stems do not make up the mixture
 * (`complete` false), a muted stem is subtracted from it.
 *
 * Returns `{gains: {id: linear}, rows: [name], hearing: "…"}`.
 */
export function hear(mix) {
  const system = mix.systems.find((s) => s.name === mix.system) ?? mix.systems[0];
  const reference = mix.systems[0].name;
  const id = (name, owner) => mix.tracks.find((t) => t.name === name && t.system === owner)?.id;
  const master = mix.mixture ? dbToGain(lookUp(mix.gain, mix.mixture, 0)) : 1;

  /** `[[id, sign], …]` whose sum is this row in the chosen system, or null if it has none. */
  const parts = (name) => {
    const own = id(name, system.name);
    if (own !== undefined) return [[own, 1]];
    if (system.kind !== "missing") return null;
    const [whole, part] = [id(name, reference), id(name, system.of)];
    return whole === undefined || part === undefined ? null : [[whole, 1], [part, -1]];
  };
  const mixtureParts = () => parts(mix.mixture) ?? [[id(mix.mixture, reference), 1]];

  const gains = Object.fromEntries(mix.tracks.map((t) => [t.id, 0]));
  const add = (list, factor) => {
    for (const [track, sign] of list ?? []) gains[track] += sign * factor * master;
  };
  const level = (name) => (mix.mute.includes(name) ? 0 : dbToGain(lookUp(mix.gain, name, 0)));
  const stems = [...new Set(mix.tracks.map((t) => t.name))].filter((n) => n !== mix.mixture);
  const here = stems.filter((name) => parts(name));
  const muted = here.filter((name) => mix.mute.includes(name));
  const touched = here.filter((name) => level(name) !== 1);
  const say = (rows, words) => ({ gains, rows, hearing: words });

  if (mix.solo.length) {
    const soloed = mix.solo.filter((name) => name === mix.mixture || parts(name));
    for (const name of soloed) {
      const list = name === mix.mixture ? mixtureParts() : parts(name);
      add(list, name === mix.mixture ? 1 : dbToGain(lookUp(mix.gain, name, 0)));
    }
    const absent = mix.solo.filter((name) => !soloed.includes(name));
    if (!soloed.length) return say([], `silence (${system.name} has no ${absent.join(", ")})`);
    return say(soloed, soloed.join(" + "));
  }
  const rows = [...(mix.mixture ? [mix.mixture] : []), ...here];
  if (!here.length) {
    const own = mix.mixture ? parts(mix.mixture) : null;
    add(own, 1);
    return own ? say([mix.mixture], mix.mixture) : say([], "silence");
  }
  if (mix.mixture && !touched.length && system.kind === "reference") {
    add(mixtureParts(), 1);
    return say(rows, mix.mixture);
  }
  if (mix.mixture && !mix.complete && system.kind !== "missing") {
    add(mixtureParts(), 1);
    for (const name of touched) add(parts(name), level(name) - 1);
    const without = muted.length ? ` without ${muted.join(", ")}` : "";
    return say(rows.filter((name) => !muted.includes(name)), mix.mixture + without);
  }
  for (const name of here) add(parts(name), level(name));
  const playing = here.filter((name) => !muted.includes(name));
  if (!playing.length) return say([], "silence (everything is muted)");
  if (!muted.length) return say(rows, stems.length > 1 ? "all stems" : here[0]);
  return say(playing, playing.join(" + "));
}

/** Where the playhead is, `elapsed` seconds after it left `offset`. */
export function playhead(offset, elapsed, duration, loop = null) {
  const at = offset + Math.max(0, elapsed);
  if (!loop) return Math.min(at, duration);
  const [start, end] = loop;
  return at < end ? at : start + ((at - start) % (end - start));
}

/** A loop inside `[0, duration]`, ordered, or null if shorter than `shortest` seconds. */
export function tidyLoop(a, b, duration, shortest = 0.05) {
  const clamp = (x) => Math.min(duration, Math.max(0, x));
  const [start, end] = [clamp(Math.min(a, b)), clamp(Math.max(a, b))];
  return end - start < shortest ? null : [start, end];
}

// ---------------------------------------------------------------------------- the audio graph

/**
 * All tracks started together, each through its own gain: switching is a change of gain, and so
 * sample-synchronous. `context` is live or offline; `buffers` maps id → AudioBuffer.
 */
export class Deck {
  constructor(context, buffers, gains, { offset = 0, loop = null, when = 0, fade = false } = {}) {
    this.context = context;
    this.when = Math.max(when, context.currentTime);
    this.offset = offset;
    this.loop = loop;
    this.duration = Math.max(...[...buffers.values()].map((b) => b.duration));
    this.master = context.createGain();
    this.master.connect(context.destination);
    if (fade) {
      this.master.gain.setValueAtTime(0, this.when);
      this.master.gain.linearRampToValueAtTime(1, this.when + RAMP);
    }
    this.lanes = new Map();
    for (const [id, buffer] of buffers) {
      const source = context.createBufferSource();
      source.buffer = buffer;
      if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: loop[1] });
      const node = context.createGain();
      const level = gains[id] ?? 0;
      node.gain.setValueAtTime(level, 0);
      source.connect(node).connect(this.master);
      source.start(this.when, offset);
      this.lanes.set(id, { source, node, from: level, to: level, at: 0 });
    }
  }

  position() {
    return playhead(this.offset, this.context.currentTime - this.when, this.duration, this.loop);
  }

  get ended() {
    return !this.loop && this.position() >= this.duration;
  }

  /** Slide to new gains within `RAMP`; the slide in progress is continued from where it is. */
  setGains(gains) {
    const now = this.context.currentTime;
    for (const [id, lane] of this.lanes) {
      const to = gains[id] ?? 0;
      if (to === lane.to) continue;
      const done = Math.min(1, Math.max(0, (now - lane.at) / RAMP));
      const value = lane.from + (lane.to - lane.from) * done;
      lane.node.gain.cancelScheduledValues(0);
      lane.node.gain.setValueAtTime(value, now);
      lane.node.gain.linearRampToValueAtTime(to, now + RAMP);
      Object.assign(lane, { from: value, to, at: now });
    }
  }

  stop() {
    const now = this.context.currentTime;
    this.master.gain.cancelScheduledValues(0);
    this.master.gain.setValueAtTime(1, now);
    this.master.gain.linearRampToValueAtTime(0, now + RAMP);
    for (const { source } of this.lanes.values()) source.stop(now + 2 * RAMP);
  }
}

/** What a learner hears from start to end, as an AudioBuffer. */
export function renderOffline(buffers, gains, samplerate, Context = globalThis.OfflineAudioContext) {
  const frames = Math.max(...[...buffers.values()].map((b) => b.length));
  const context = new Context(2, frames, samplerate);
  new Deck(context, buffers, gains);
  return context.startRendering();
}

/** The same sum without an audio context, `[channel][sample]`: for pictures of what is heard. */
export function mixDown(buffers, gains) {
  const used = [...buffers].filter(([id]) => gains[id]);
  const length = Math.max(0, ...[...buffers.values()].map((b) => b.length));
  const count = Math.max(1, ...used.map(([, b]) => b.numberOfChannels));
  const out = Array.from({ length: count }, () => new Float32Array(length));
  for (const [id, buffer] of used) {
    const gain = gains[id];
    out.forEach((sum, c) => {
      const data = buffer.getChannelData(Math.min(c, buffer.numberOfChannels - 1));
      for (let i = 0; i < data.length; i++) sum[i] += gain * data[i];
    });
  }
  return out;
}

// ---------------------------------------------------------------------------- pictures

/** Lowest and highest sample of each of `columns` slices, over channels: `[min, max, min, …]`. */
export function peaks(channels, columns) {
  const out = new Float32Array(2 * columns);
  const length = channels[0].length;
  for (let k = 0; k < columns; k++) {
    const start = Math.floor((k * length) / columns);
    const end = Math.max(start + 1, Math.floor(((k + 1) * length) / columns));
    let [low, high] = [Infinity, -Infinity];
    for (const data of channels) {
      for (let i = start; i < end && i < length; i++) {
        if (data[i] < low) low = data[i];
        if (data[i] > high) high = data[i];
      }
    }
    out[2 * k] = low === Infinity ? 0 : low;
    out[2 * k + 1] = high === -Infinity ? 0 : high;
  }
  return out;
}

/** In-place radix-2 Fourier transform of `re + i·im` (length a power of two). */
export function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    const [x, y] = [re[i], im[i]];
    re[i] = re[j];
    im[i] = im[j];
    re[j] = x;
    im[j] = y;
  }
  const { cos, sin } = twiddles(n);
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    const step = n / size;
    for (let start = 0; start < n; start += size) {
      for (let k = 0; k < half; k++) {
        const a = start + k;
        const b = a + half;
        const x = re[b] * cos[k * step] - im[b] * sin[k * step];
        const y = re[b] * sin[k * step] + im[b] * cos[k * step];
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

const TWIDDLES = new Map();
function twiddles(n) {
  if (!TWIDDLES.has(n)) {
    const angles = Float64Array.from({ length: n / 2 }, (_, k) => (-2 * Math.PI * k) / n);
    TWIDDLES.set(n, { cos: angles.map(Math.cos), sin: angles.map(Math.sin) });
  }
  return TWIDDLES.get(n);
}

/**
 * Log-frequency picture of a sound: `height` rows (top = `high` Hz) by `width` columns, 0…255
 * over `floor`…0 dB, where 0 dB is a sine of amplitude one.
 */
export function spectrogram(channels, samplerate, width, height, options = {}) {
  const { low = 40, high = samplerate / 2, floor = -80 } = options;
  const size = 2 ** Math.round(Math.log2(0.085 * samplerate));
  const window = Float64Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
  const full = (size / 4) ** 2 * channels.length; // power of a full-scale sine's peak bin, per side
  const edges = Array.from({ length: height + 1 }, (_, r) => ((low * (high / low) ** (1 - r / height)) * size) / samplerate);
  const [left, right] = [channels[0], channels[1]];
  const [re, im, power] = [new Float64Array(size), new Float64Array(size), new Float64Array(size / 2 + 2)];
  const out = new Uint8Array(width * height);
  for (let column = 0; column < width; column++) {
    const start = Math.round(((column + 0.5) * left.length) / width - size / 2);
    re.fill(0);
    im.fill(0);
    const end = Math.min(size, left.length - start);
    for (let i = Math.max(0, -start); i < end; i++) {
      re[i] = left[start + i] * window[i];
      if (right) im[i] = right[start + i] * window[i];
    }
    fft(re, im);
    for (let k = 0; k <= size / 2; k++) {
      const m = (size - k) % size; // both channels at once: |Z(k)|² + |Z(-k)|² = 2 (|L|² + |R|²)
      power[k] = (re[k] * re[k] + im[k] * im[k] + re[m] * re[m] + im[m] * im[m]) / 2;
    }
    for (let row = 0; row < height; row++) {
      const [bottom, top] = [edges[row + 1], edges[row]];
      const middle = Math.min((bottom + top) / 2, size / 2);
      const k = Math.floor(middle);
      let value = power[k] + (middle - k) * (power[k + 1] - power[k]);
      for (let j = Math.ceil(bottom); j < top && j <= size / 2; j++) value = Math.max(value, power[j]);
      const db = 10 * Math.log10(value / full + 1e-20);
      out[row * width + column] = Math.max(0, Math.min(255, Math.round(255 * (1 - db / floor))));
    }
  }
  return out;
}

// ---------------------------------------------------------------------------- blind comparison

/** Chance that guessing alone gets at least `correct` of `n` right. */
export function guessing(correct, n) {
  let [term, sum] = [0.5 ** n, 0];
  for (let k = 0; k <= n; k++) {
    if (k >= correct) sum += term;
    term *= (n - k) / (k + 1);
  }
  return Math.min(1, sum);
}

/** The score in one sentence, with what p means; `trials` is the number agreed on beforehand. */
export function verdict(log, trials) {
  const n = log.length;
  if (!n) return "Is X the same as A or as B? Listen to all three, then answer.";
  const correct = log.filter((entry) => entry.correct).length;
  const p = guessing(correct, n);
  const percent = p >= 0.0995 ? `${Math.round(100 * p)} %` : p >= 0.001 ? `${(100 * p).toFixed(1)} %` : "fewer than 0.1 %";
  const figure = p >= 0.001 ? `p = ${p.toFixed(3)}` : "p < 0.001";
  const score = `${correct} of ${n} right, ${figure}`;
  if (n < trials) return `${score} so far; p counts after all ${trials} trials, decided beforehand.`;
  const meaning = `Somebody who only guesses does at least this well in ${percent} of such tests`;
  const end = p < 0.05
    ? "so you most likely hear a difference."
    : "so this shows no difference; it does not prove that there is none.";
  return `${score}. ${meaning}, ${end}`;
}

/** Who X is, trial by trial, for a page with no Python behind it. */
export class Judge {
  #truth = [];
  constructor(trials, random = Math.random) {
    this.#truth = Array.from({ length: trials }, () => (random() < 0.5 ? "A" : "B"));
    this.log = [];
  }

  get trial() {
    return this.log.length;
  }

  /** Runs `play` with the present X; nothing else learns it before the answer. */
  withX(play) {
    return play(this.#truth[this.trial]);
  }

  answer(choice) {
    const truth = this.#truth[this.trial];
    const right = this.log.filter((entry) => entry.correct).length + (choice === truth ? 1 : 0);
    const n = this.trial + 1;
    this.log.push({ trial: n, answer: choice, truth, correct: choice === truth, p_value: guessing(right, n) });
    return this.log;
  }
}

export function clock(seconds) {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  const [minutes, rest] = [Math.floor(tenths / 600), tenths % 600];
  return `${minutes}:${(rest / 10).toFixed(1).padStart(4, "0")}`;
}
