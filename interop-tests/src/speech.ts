import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { readWav, type Sound } from './wav.ts';

export interface Sentence {
  /** 48 kHz mono 16 bit, a bit over seven seconds, meant to be looped. */
  readonly path: string;
  /** The same repeated for two minutes: some phones hang up at the end of the file. */
  readonly longPath: string;
  readonly sound: Sound;
}

/** Two voices, two rhythms: the envelopes of any two of these correlate below 0.5 at every lag. */
const SPOKEN = {
  alice: {
    voice: 'en-us',
    speed: '150',
    words:
      'Good morning <break time="700ms"/> this is Alice <break time="250ms"/> calling from the harbour <break time="1100ms"/> the boats are late.',
  },
  bob: {
    voice: 'en-gb+m3',
    speed: '190',
    words:
      'Nine <break time="350ms"/> eight <break time="350ms"/> seven <break time="350ms"/> six <break time="350ms"/> five <break time="350ms"/> four <break time="900ms"/> lift off, and a very long roar follows without any pause at all.',
  },
} as const;

/** Speaks one of the two sentences into files in `folder` with espeak-ng and sox. */
export function speak(who: keyof typeof SPOKEN, folder: string): Sentence {
  const { voice, speed, words } = SPOKEN[who];
  const raw = join(folder, `${who}-raw.wav`);
  const path = join(folder, `${who}.wav`);
  const longPath = join(folder, `${who}-long.wav`);
  execFileSync('espeak-ng', ['-m', '-v', voice, '-s', speed, '-w', raw, words]);
  execFileSync('sox', [raw, '-r', '48000', '-c', '1', '-b', '16', path, 'norm', '-3', 'pad', '0.4', '0.6']);
  execFileSync('sox', [path, longPath, 'repeat', '20']);
  return { path, longPath, sound: readWav(path) };
}
