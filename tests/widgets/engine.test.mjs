// `node --test tests/widgets`; pytest runs it too (test_engine.py).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const file = new URL("../../demucs_lab/widgets/engine.js", import.meta.url);
const engine = await import(`data:text/javascript;base64,${readFileSync(file).toString("base64")}`);
const { Deck, Judge, RAMP, clock, fft, guessing, hear, lookUp, mixDown, peaks, playhead, spectrogram, tidyLoop, verdict } = engine;

const STEMS = ["drums", "bass", "other", "vocals"];
const tracks = (systems) =>
  Object.entries(systems).flatMap(([system, names]) => names.map((name) => ({ id: `${system}:${name}`, name, system })));
const mix = (changes = {}) => ({
  tracks: tracks({ original: ["mixture", ...STEMS], IRM: STEMS }),
  systems: [
    { name: "original", kind: "reference", of: "" },
    { name: "IRM", kind: "estimate", of: "" },
    { name: "missing from IRM", kind: "missing", of: "IRM" },
  ],
  mixture: "mixture", complete: true, system: "original", solo: [], mute: [], gain: {}, ...changes,
});
const nonzero = (state) => Object.fromEntries(Object.entries(hear(state).gains).filter(([, g]) => g !== 0));
const near = (a, b, tolerance = 1e-9) => assert.ok(Math.abs(a - b) <= tolerance, `${a} is not ${b}`);

test("a fresh player plays exactly the mixture, once", () => {
  assert.deepEqual(nonzero(mix()), { "original:mixture": 1 });
  assert.equal(hear(mix()).hearing, "mixture");
});

test("solo plays exactly that stem, whatever else is muted", () => {
  assert.deepEqual(nonzero(mix({ solo: ["bass"], mute: ["bass", "drums"] })), { "original:bass": 1 });
});

test("mute takes a stem away and doubles nothing", () => {
  const expected = { "original:drums": 1, "original:bass": 1, "original:other": 1 };
  assert.deepEqual(nonzero(mix({ mute: ["vocals"] })), expected);
});

test("everything muted is silence", () => {
  assert.deepEqual(nonzero(mix({ mute: STEMS })), {});
  assert.match(hear(mix({ mute: STEMS })).hearing, /^silence/);
});

test("gains are decibels, and the mixture's is the volume of everything", () => {
  const gains = nonzero(mix({ gain: { bass: -20, mixture: -20 } }));
  near(gains["original:bass"], 0.01);
  near(gains["original:drums"], 0.1);
  assert.equal(gains["original:mixture"], undefined);
});

test("another system plays its stems, and soloed the same stem at the same level", () => {
  assert.deepEqual(nonzero(mix({ system: "IRM" })), Object.fromEntries(STEMS.map((n) => [`IRM:${n}`, 1])));
  assert.deepEqual(nonzero(mix({ system: "IRM", solo: ["bass"] })), { "IRM:bass": 1 });
});

test("what is missing is reference minus estimate", () => {
  const expected = { "original:bass": 1, "IRM:bass": -1 };
  assert.deepEqual(nonzero(mix({ system: "missing from IRM", solo: ["bass"] })), expected);
});

test("what is missing uses a track of its own where there is one", () => {
  const state = mix({ system: "missing from IRM", solo: ["bass"] });
  state.tracks.push({ id: "m", name: "bass", system: "missing from IRM" });
  assert.deepEqual(nonzero(state), { m: 1 });
});

test("where the stems are not the whole, a muted stem is subtracted from the mixture", () => {
  const state = mix({ tracks: tracks({ original: ["mixture", "vocals"] }), complete: false });
  assert.deepEqual(nonzero(state), { "original:mixture": 1 });
  const muted = { ...state, mute: ["vocals"] };
  assert.deepEqual(nonzero(muted), { "original:mixture": 1, "original:vocals": -1 });
  assert.equal(hear(muted).hearing, "mixture without vocals");
});

test("a system that lacks the soloed stem is silent and says so", () => {
  const state = mix({ tracks: tracks({ original: ["mixture", ...STEMS], IRM: ["vocals"] }), system: "IRM", solo: ["bass"] });
  assert.deepEqual(nonzero(state), {});
  assert.match(hear(state).hearing, /IRM has no bass/);
});

test("the mixture soloed plays in every system", () => {
  assert.deepEqual(nonzero(mix({ system: "IRM", solo: ["mixture"] })), { "original:mixture": 1 });
});

test("stems without a mixture play together", () => {
  const state = mix({ tracks: tracks({ original: STEMS }), mixture: "", systems: [{ name: "original", kind: "reference" }] });
  assert.equal(Object.keys(nonzero(state)).length, 4);
});

test("the playhead stops at the end, or goes round the loop", () => {
  near(playhead(1, 2, 10), 3);
  near(playhead(1, 20, 10), 10);
  near(playhead(3, 0.5, 10, [2, 4]), 3.5);
  near(playhead(3, 5.5, 10, [2, 4]), 2.5);
  near(playhead(3, -0.02, 10), 3);
});

test("a loop drawn backwards or past the end is tidied", () => {
  assert.deepEqual(tidyLoop(4, 2, 10), [2, 4]);
  assert.deepEqual(tidyLoop(8, 12, 10), [8, 10]);
  assert.equal(tidyLoop(3, 3.01, 10), null);
});

const sound = (...channels) => ({
  numberOfChannels: channels.length,
  length: channels[0].length,
  duration: channels[0].length,
  getChannelData: (c) => Float32Array.from(channels[c]),
});

test("a mix is the weighted sum, mono in both channels", () => {
  const buffers = new Map([["a", sound([1, 2], [3, 4])], ["b", sound([10, 20])]]);
  assert.deepEqual(mixDown(buffers, { a: 1, b: -0.5 }).map((c) => [...c]), [[-4, -8], [-2, -6]]);
  assert.deepEqual(mixDown(buffers, {}).map((c) => [...c]), [[0, 0]]);
});

test("peaks keep every sample's extreme", () => {
  const data = Float32Array.from({ length: 1003 }, (_, i) => Math.sin(i * i));
  const wave = peaks([data], 10);
  for (let k = 0; k < 10; k++) {
    const part = data.slice(Math.floor((k * 1003) / 10), Math.floor(((k + 1) * 1003) / 10));
    assert.equal(wave[2 * k], Math.min(...part));
    assert.equal(wave[2 * k + 1], Math.max(...part));
  }
  assert.equal(peaks([Float32Array.of(0.5)], 4).length, 8);
});

test("the Fourier transform equals the sum that defines it", () => {
  const n = 16;
  const x = Array.from({ length: n }, (_, i) => [Math.sin(3 * i + 1), Math.cos(i * i)]);
  const [re, im] = [Float64Array.from(x, (z) => z[0]), Float64Array.from(x, (z) => z[1])];
  fft(re, im);
  for (let k = 0; k < n; k++) {
    let [a, b] = [0, 0];
    x.forEach(([r, i], t) => {
      const angle = (-2 * Math.PI * k * t) / n;
      a += r * Math.cos(angle) - i * Math.sin(angle);
      b += r * Math.sin(angle) + i * Math.cos(angle);
    });
    near(re[k], a, 1e-9);
    near(im[k], b, 1e-9);
  }
});

test("a full-scale sine is 0 dB in its own row, in one channel or two", () => {
  const rate = 22050;
  const sine = Float32Array.from({ length: rate }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / rate));
  const [low, high, rows] = [40, rate / 2, 200];
  for (const channels of [[sine], [sine, sine]]) {
    const picture = spectrogram(channels, rate, 9, rows, { low, high, floor: -80 });
    const column = Array.from({ length: rows }, (_, r) => picture[r * 9 + 4]);
    const brightest = column.indexOf(Math.max(...column));
    const expected = rows * (1 - Math.log(1000 / low) / Math.log(high / low));
    assert.ok(Math.abs(brightest + 0.5 - expected) < 2, `row ${brightest}, expected ${expected}`);
    assert.ok(Math.max(...column) >= 255 - 5, `brightest is ${Math.max(...column)}`); // a bin's edge: -1.4 dB
    assert.equal(column[5], 0);
  }
});

/** A context that remembers what was asked of it. */
function fakeContext() {
  const log = [];
  const param = () => ({
    events: [],
    setValueAtTime(v, t) { this.events.push(["set", v, t]); },
    linearRampToValueAtTime(v, t) { this.events.push(["ramp", v, t]); },
    cancelScheduledValues() { this.events = []; },
  });
  return {
    currentTime: 5, destination: {}, log,
    createGain: () => ({ gain: param(), connect: (x) => x }),
    createBufferSource: () => {
      const node = { connect: (x) => x, start: (...a) => (node.started = a), stop: (...a) => (node.stopped = a) };
      log.push(node);
      return node;
    },
  };
}

test("all tracks start at one instant and one offset", () => {
  const context = fakeContext();
  new Deck(context, new Map([["a", sound([1])], ["b", sound([1])]]), { a: 1 }, { offset: 2, when: 6, loop: [1, 3] });
  for (const node of context.log) assert.deepEqual([node.started, node.loopStart, node.loopEnd], [[6, 2], 1, 3]);
});

test("a gain change ramps, and a second one continues from where the first is", () => {
  const context = fakeContext();
  const deck = new Deck(context, new Map([["a", sound([1])]]), { a: 1 });
  deck.setGains({ a: 0 });
  context.currentTime = 5 + RAMP / 2;
  deck.setGains({ a: 1 });
  const [set, ramp] = deck.lanes.get("a").node.gain.events;
  near(set[1], 0.5);
  near(ramp[1], 1);
  near(ramp[2], 5 + 1.5 * RAMP);
});

test("the p-value counts every way to guess at least as well", () => {
  for (const [correct, n] of [[0, 3], [2, 3], [7, 10], [10, 10], [9, 12]]) {
    let ways = 0;
    for (let word = 0; word < 2 ** n; word++) {
      if (word.toString(2).replaceAll("0", "").length >= correct) ways++;
    }
    near(guessing(correct, n), ways / 2 ** n);
  }
  near(guessing(0, 0), 1);
});

test("the verdict says what p means, and only at the end", () => {
  const log = (right, n) => Array.from({ length: n }, (_, k) => ({ correct: k < right }));
  assert.match(verdict(log(3, 3), 10), /so far.*after all 10/);
  assert.match(verdict(log(9, 10), 10), /9 of 10 right, p = 0\.011.*1\.1 %.*hear a difference/);
  assert.match(verdict(log(6, 10), 10), /p = 0\.377.*38 %.*does not prove/);
});

test("the judge scores answers and keeps X to itself", () => {
  const coins = [0.1, 0.9, 0.1];
  const judge = new Judge(3, () => coins.shift());
  assert.equal(judge.withX((who) => who), "A");
  assert.ok(!JSON.stringify(judge).includes('"A"'));
  for (const answer of ["A", "A", "A"]) judge.answer(answer);
  assert.deepEqual(judge.log.map((e) => [e.truth, e.correct]), [["A", true], ["B", false], ["A", true]]);
  near(judge.log[2].p_value, 0.5);
});

test("the clock reads minutes, seconds and tenths", () => {
  assert.deepEqual([0, 9.96, 59.96, 61.24].map(clock), ["0:00.0", "0:10.0", "1:00.0", "1:01.2"]);
});

test("a stem may bear the name of what every object of JavaScript has", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    const named = { ...mix(), tracks: tracks({ original: ["mixture", "drums", name] }), systems: mix().systems.slice(0, 1) };
    assert.equal(hear({ ...named, solo: [name] }).gains[`original:${name}`], 1);
    assert.equal(hear({ ...named, complete: false, mute: ["drums"] }).gains["original:mixture"], 1);
    const gain = { ["__proto__"]: -20, [name]: -20 };
    assert.ok(Math.abs(hear({ ...named, solo: [name], gain }).gains[`original:${name}`] - 0.1) < 1e-9);
    assert.equal(lookUp({}, name, 0), 0);
  }
});
