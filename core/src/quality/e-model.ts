/** Which recommendation a rating comes from. Their scales differ, so an R of one says nothing beside an R of another. */
export type QualityModel = 'G.107' | 'G.107.1' | 'G.107.2';

/** What the E-model has to know of a codec. */
export interface CodecQuality {
  /** The codec and its mode, for people. */
  readonly name: string;
  readonly model: QualityModel;
  /** Equipment impairment factor without loss, Ie. */
  readonly ie: number;
  /** Packet loss robustness factor, Bpl. */
  readonly bpl: number;
  /** Where it was measured with losses in bursts too; the model's own correction for bursts is then not applied. */
  readonly bplBursty?: number;
}

export interface QualityInput {
  readonly codec: CodecQuality;
  /** From mouth to ear, as far as known, ms. */
  readonly delayMs: number;
  /** Lost packets, 0–1. */
  readonly loss: number;
  /** Mean number of packets lost in a row; what is below that of independent losses counts as them. */
  readonly burstLength: number;
}

export interface QualityScore {
  readonly model: QualityModel;
  /** 0 to 93.2 (G.107), 129 (G.107.1), 148 (G.107.2). */
  readonly r: number;
  /** Mean opinion score, 1–4.5. */
  readonly mos: number;
}

interface Scale {
  /** R of a connection without delay, loss or coding: Ro − Is with all other parameters at their defaults. */
  readonly best: number;
  /** What total loss takes of it, the constant in Ie,eff. */
  readonly worst: number;
  /** R on this scale per R of G.107's scale of 100, on which MOS is defined. */
  readonly stretch: number;
  readonly delay: (delayMs: number) => number;
}

const SCALES: Readonly<Record<QualityModel, Scale>> = {
  // G.107 (06/2015) 7.1 with the defaults of table 2: 93.2; 7.5 has the 95. Annex B: MOS.
  'G.107': { best: 93.2, worst: 95, stretch: 1, delay: narrowbandDelay },
  // G.107.1 (06/2019): Ro,WB 129; the 95 of its Ie,eff,WB; annex A divides by 1.29. Delay stretched as in G.107.2.
  'G.107.1': { best: 129, worst: 95, stretch: 1.29, delay: (ms) => 1.29 * absoluteDelay(ms) },
  // G.107.2 (06/2019): Ro,FB 148; 132 in Ie,eff,FB; annex A divides by 1.48.
  'G.107.2': { best: 148, worst: 132, stretch: 1.48, delay: (ms) => 1.48 * absoluteDelay(ms) },
};

/** BurstR from which on `bplBursty` alone counts; between it and 1 the two factors are mixed. Our choice: the measurements name none. */
const FULLY_BURSTY = 2;

/** Rates one direction of a call by the E-model of its codec. */
export function rateQuality({ codec, delayMs, loss, burstLength }: QualityInput): QualityScore {
  const { best, stretch, delay } = SCALES[codec.model];
  const r = Math.max(0, best - delay(Math.max(0, delayMs)) - effectiveImpairment(codec, loss, burstLength));
  return { model: codec.model, r, mos: mosOf(r / stretch) };
}

/** Ie,eff = Ie + (worst − Ie)·Ppl / (Ppl/BurstR + Bpl), Ppl in per cent (G.107 7.5, equation 7-29). */
function effectiveImpairment(codec: CodecQuality, loss: number, burstLength: number): number {
  const { ie, bpl, bplBursty, model } = codec;
  const lost = Math.min(1, Math.max(0, loss));
  if (lost === 0) return ie;
  // BurstR is 1/(p + q) of a two-state loss model, whose mean burst is 1/q and whose loss is p/(p + q).
  const burstR = Math.max(1, burstLength * (1 - lost));
  const percent = 100 * lost;
  const spread = SCALES[model].worst - ie;
  if (bplBursty === undefined) return ie + (spread * percent) / (percent / burstR + bpl);
  const share = Math.min(1, (burstR - 1) / (FULLY_BURSTY - 1));
  return ie + (spread * percent) / (percent + bpl + share * (bplBursty - bpl));
}

/** Id as the field simplifies it (Cole and Rosenbluth 2001): 0.024·d, and 0.11 per ms more beyond 177.3 ms. */
function narrowbandDelay(ms: number): number {
  return 0.024 * ms + (ms > 177.3 ? 0.11 * (ms - 177.3) : 0);
}

/** Idd of G.107 7.4 (equation 7-27): nothing up to 100 ms. */
function absoluteDelay(ms: number): number {
  if (ms <= 100) return 0;
  const x = Math.log2(ms / 100);
  return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
}

/** G.107 annex B, R on the scale of 100. The cubic dips below 1 under 6.5, where the answer is 1. */
function mosOf(r: number): number {
  if (r >= 100) return 4.5;
  return Math.max(1, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r));
}
