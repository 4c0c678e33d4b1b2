import type { CodecQuality, QualityModel } from './e-model.ts';

/** A codec as SDP names it, and what else decides its quality. */
export interface CodecUse {
  /** Encoding name of a=rtpmap, in any case. */
  readonly encoding: string;
  /** Measured, without headers; Opus is rated by it. */
  readonly bitrateBps?: number;
  /** Highest sampling rate that the receiver of Opus plays (`maxplaybackrate`, RFC 7587 6.1). */
  readonly maxPlaybackRate?: number;
  /** False when its receiver is known not to conceal losses. */
  readonly conceals?: boolean;
}

// G.113 appendix I tables I.1 and I.4: Ie and Bpl, the latter for G.711 without and with its appendix I concealment.
const G711: CodecQuality = { name: 'G.711', model: 'G.107', ie: 0, bpl: 25.1 };
const G711_BARE: CodecQuality = { name: 'G.711 without concealment', model: 'G.107', ie: 0, bpl: 4.3 };
const G729: CodecQuality = { name: 'G.729A', model: 'G.107', ie: 11, bpl: 19 };
// G.113 table I.1; no Bpl is published for it, so it has that of G.711 without concealment, the most cautious one.
const GSM: CodecQuality = { name: 'GSM', model: 'G.107', ie: 20, bpl: 4.3 };
// G.113 appendix IV: Ie,wb 13 at 64 kbit/s. No Bpl,wb was at hand; 4.3 is that of a waveform codec without concealment.
const G722: CodecQuality = { name: 'G.722', model: 'G.107.1', ie: 13, bpl: 4.3 };

type Row = readonly [kbps: number, ie: number, bpl: number, bplBursty: number];

/** Opus, variable bit rate, listening tests by instrument: mohaoahmadi, Opus_Codec_Quality_Evaluation (2021), three bandwidths. */
const OPUS: readonly { readonly label: string; readonly model: QualityModel; readonly rows: readonly Row[] }[] = [
  {
    label: 'narrowband',
    model: 'G.107',
    rows: [
      [6, 23.0, 24.6, 15.4],
      [7, 21.3, 22.5, 14.4],
      [8, 16.0, 20.3, 13.5],
      [9, 11.7, 18.9, 12.4],
    ],
  },
  {
    label: 'wideband',
    model: 'G.107.1',
    rows: [
      [11, 28.41, 23.9, 20.1],
      [12, 23.3, 22.2, 18.9],
      [13, 19.96, 19.5, 16.9],
    ],
  },
  {
    label: 'super-wideband',
    model: 'G.107.2',
    rows: [
      [16, 30.16, 11.83, 10.06],
      [19, 23.81, 10.67, 9.18],
      [25, 20.21, 11.28, 8.92],
      [31, 16.83, 10.44, 8.82],
      [40, 10.67, 9.79, 8.04],
    ],
  },
];
/** Of an Opus stream whose bit rate isn't known yet: what browsers send. */
const USUAL_OPUS_BPS = 32_000;

/** What the E-model knows of a codec in use, or undefined when it knows none. */
export function codecQuality(use: CodecUse): CodecQuality | undefined {
  switch (use.encoding.toLowerCase()) {
    case 'pcmu':
    case 'pcma':
      return use.conceals === false ? G711_BARE : G711;
    case 'g729':
      return G729;
    case 'gsm':
      return GSM;
    case 'g722':
      return G722;
    case 'opus':
      return opusQuality(use.bitrateBps ?? USUAL_OPUS_BPS, use.maxPlaybackRate ?? 48_000);
    default:
      return undefined;
  }
}

/** Between two measured rates the factors are mixed; outside of them those of the nearest stand. */
function opusQuality(bitrateBps: number, maxPlaybackRate: number): CodecQuality {
  const kbps = bitrateBps / 1000;
  const { label, model, rows } = OPUS[opusBandwidth(kbps, maxPlaybackRate)]!;
  const above = rows.find((row) => row[0] >= kbps) ?? rows.at(-1)!;
  const below = rows.findLast((row) => row[0] <= kbps) ?? rows[0]!;
  const share = above === below ? 0 : (kbps - below[0]) / (above[0] - below[0]);
  const mixed = (column: 1 | 2 | 3) => below[column] + share * (above[column] - below[column]);
  return { name: `Opus ${label}`, model, ie: mixed(1), bpl: mixed(2), bplBursty: mixed(3) };
}

/** The bandwidth an encoder for speech takes at that rate, within what is played (RFC 7587 3.1.1). */
function opusBandwidth(kbps: number, maxPlaybackRate: number): number {
  if (maxPlaybackRate <= 8000 || kbps < 10) return 0;
  return maxPlaybackRate <= 16_000 || kbps < 14.5 ? 1 : 2;
}
