/** Tones are made here, so that nothing has to be downloaded before the phone can ring. */

export type Sound = 'ring' | 'ringback' | 'busy' | 'end' | 'none';

/** A tone pattern: frequencies sounding together, on/off times in seconds, how often. */
interface Pattern {
  readonly frequencies: readonly number[];
  readonly beats: readonly (readonly [onS: number, offS: number])[];
  readonly rounds: number;
  readonly volume: number;
}

const FOREVER = 60;

const PATTERNS: Readonly<Record<Exclude<Sound, 'none'>, Pattern>> = {
  ring: {
    frequencies: [659.3, 880],
    beats: [
      [0.35, 0.12],
      [0.35, 2.2],
    ],
    rounds: FOREVER,
    volume: 0.22,
  },
  /** The continental ringing tone: 425 Hz, 1 s every 5 s. */
  ringback: { frequencies: [425], beats: [[1, 4]], rounds: FOREVER, volume: 0.1 },
  busy: { frequencies: [425], beats: [[0.3, 0.3]], rounds: 4, volume: 0.1 },
  end: { frequencies: [480], beats: [[0.12, 0.1]], rounds: 2, volume: 0.08 },
};

/** ITU-T Q.23 */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
const KEYS = '123456789*0#';

export function dtmfFrequencies(key: string): readonly [number, number] | undefined {
  const at = KEYS.indexOf(key);
  if (key.length !== 1 || at < 0) return undefined;
  return [ROWS[Math.floor(at / 3)]!, COLUMNS[at % 3]!];
}

export class Sounds {
  readonly #changed: (blocked: boolean) => void;
  #context: AudioContext | undefined;
  #playing: GainNode | undefined;

  /** @param changed told whether the browser holds sound back until a click */
  constructor(changed: (blocked: boolean) => void) {
    this.#changed = changed;
  }

  /** Call once at start, and on every gesture: browsers let a page sound only after one. */
  wake(): void {
    if (typeof AudioContext === 'undefined') return;
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#context.onstatechange = () => this.#changed(this.#context?.state !== 'running');
    }
    this.#changed(this.#context.state !== 'running');
    if (this.#context.state !== 'running') this.#context.resume().catch(() => {});
  }

  play(sound: Sound): void {
    const context = this.#context;
    this.#playing?.disconnect();
    this.#playing = undefined;
    if (sound === 'none' || !context) return;
    const pattern = PATTERNS[sound];
    const gain = context.createGain();
    gain.connect(context.destination);
    this.#playing = gain;
    let at = context.currentTime + 0.05;
    const sources = pattern.frequencies.map((frequency) => this.#source(frequency, gain));
    gain.gain.value = 0;
    for (let round = 0; round < pattern.rounds; round++)
      for (const [on, off] of pattern.beats) {
        gain.gain.setTargetAtTime(pattern.volume, at, 0.012);
        gain.gain.setTargetAtTime(0, at + on, 0.03);
        at += on + off;
      }
    for (const source of sources) source.stop(at + 0.2);
  }

  /** What a key sounds like here; the far side gets it as an RFC 4733 event. */
  key(key: string): void {
    const frequencies = dtmfFrequencies(key);
    const context = this.#context;
    if (!frequencies || !context || context.state !== 'running') return;
    const gain = context.createGain();
    gain.connect(context.destination);
    gain.gain.setValueAtTime(0.06, context.currentTime);
    gain.gain.setTargetAtTime(0, context.currentTime + 0.12, 0.015);
    for (const frequency of frequencies) {
      const source = this.#source(frequency, gain);
      source.stop(context.currentTime + 0.25);
      source.onended = () => gain.disconnect();
    }
  }

  setSpeaker(deviceId: string): void {
    const context = this.#context as (AudioContext & { setSinkId?: (id: string) => Promise<void> }) | undefined;
    context?.setSinkId?.(deviceId).catch(() => {});
  }

  #source(frequency: number, into: AudioNode): OscillatorNode {
    const oscillator = into.context.createOscillator();
    oscillator.frequency.value = frequency;
    oscillator.connect(into);
    oscillator.start();
    return oscillator;
  }
}
