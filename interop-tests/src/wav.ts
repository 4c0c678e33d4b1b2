import { readFileSync } from 'node:fs';

/** Mono samples in [-1, 1] and their rate in hertz. */
export interface Sound {
  readonly rate: number;
  readonly samples: Float32Array;
}

/** Reads a RIFF/WAVE file of 16-bit PCM; of several channels the first is kept. A file still being written is read as far as it goes. */
export function readWav(path: string): Sound {
  const bytes = readFileSync(path);
  if (bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE') {
    throw new Error(`${path} is no WAV file`);
  }
  let rate = 0;
  let channels = 1;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = bytes.toString('latin1', at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    if (id === 'fmt ') {
      channels = bytes.readUInt16LE(at + 10);
      rate = bytes.readUInt32LE(at + 12);
      if (bytes.readUInt16LE(at + 22) !== 16) throw new Error(`${path}: only 16-bit samples are read`);
    } else if (id === 'data') {
      const end = length === 0 || at + 8 + length > bytes.length ? bytes.length : at + 8 + length;
      const count = Math.floor((end - at - 8) / (2 * channels));
      const samples = new Float32Array(count);
      for (let i = 0; i < count; i++) samples[i] = bytes.readInt16LE(at + 8 + i * 2 * channels) / 32768;
      return { rate, samples };
    }
    at += 8 + length + (length & 1);
  }
  throw new Error(`${path} holds no samples`);
}
