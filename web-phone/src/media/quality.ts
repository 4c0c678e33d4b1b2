/** One second of a call, as counters from getStats. Counters a browser leaves out are 0. */
export interface QualitySample {
  readonly atMs: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly packetsSent: number;
  /** Of those we sent, as the far side reports it; undefined before it has. */
  readonly remotePacketsLost: number | undefined;
  /** What arrives, as SDP names it: `opus`. */
  readonly codec: string | undefined;
  /** Samples that had to be invented because packets were missing, silence not counted. */
  readonly concealedSamples: number;
  readonly totalSamples: number;
  readonly jitterMs: number;
  readonly roundTripMs: number | undefined;
  /** Loss of what we send, as the far side reports it: 0–1. */
  readonly remoteLoss: number;
  /** 0–1 */
  readonly microphoneLevel: number;
  readonly speakerLevel: number;
  readonly framesDecoded: number;
}

export interface Quality {
  readonly grade: 'good' | 'fair' | 'poor' | 'none' | 'unknown';
  /** One sentence. */
  readonly words: string;
  readonly roundTripMs: number | undefined;
  readonly lossIn: number;
  readonly lossOut: number;
  readonly jitterMs: number;
  readonly concealed: number;
  readonly microphoneSilent: boolean;
  readonly microphoneLevel: number;
  readonly speakerLevel: number;
  readonly videoArrives: boolean;
}

interface StatsEntry {
  readonly type: string;
  readonly kind?: string;
  readonly [key: string]: unknown;
}

const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

/** Reads one getStats report (any browser's shape; missing entries count as 0). */
export function sampleFromStats(report: Iterable<StatsEntry>, nowMs: number): QualitySample {
  let packetsReceived = 0;
  let packetsLost = 0;
  let packetsSent = 0;
  let remotePacketsLost: number | undefined;
  let codecId: unknown;
  const codecs = new Map<unknown, string>();
  let concealedSamples = 0;
  let totalSamples = 0;
  let jitterMs = 0;
  let roundTripMs: number | undefined;
  let remoteLoss = 0;
  let microphoneLevel = 0;
  let speakerLevel = 0;
  let framesDecoded = 0;
  for (const entry of report) {
    if (entry.type === 'inbound-rtp' && entry.kind === 'audio') {
      packetsReceived = number(entry.packetsReceived);
      packetsLost = Math.max(0, number(entry.packetsLost));
      concealedSamples = number(entry.concealedSamples) - number(entry.silentConcealedSamples);
      totalSamples = number(entry.totalSamplesReceived);
      jitterMs = number(entry.jitter) * 1000;
      speakerLevel = number(entry.audioLevel);
      codecId = entry.codecId;
    } else if (entry.type === 'inbound-rtp' && entry.kind === 'video') framesDecoded = number(entry.framesDecoded);
    else if (entry.type === 'remote-inbound-rtp' && entry.kind === 'audio') {
      remoteLoss = number(entry.fractionLost);
      if (typeof entry.packetsLost === 'number') remotePacketsLost = entry.packetsLost;
      if (typeof entry.roundTripTime === 'number') roundTripMs ??= entry.roundTripTime * 1000;
    } else if (entry.type === 'candidate-pair' && (entry.nominated === true || entry.selected === true)) {
      if (entry.state === 'succeeded' && typeof entry.currentRoundTripTime === 'number')
        roundTripMs = entry.currentRoundTripTime * 1000;
    } else if (entry.type === 'outbound-rtp' && entry.kind === 'audio') packetsSent = number(entry.packetsSent);
    else if (entry.type === 'codec' && typeof entry.mimeType === 'string')
      codecs.set(entry.id, entry.mimeType.replace(/^audio\//i, ''));
    else if (entry.type === 'media-source' && entry.kind === 'audio') microphoneLevel = number(entry.audioLevel);
  }
  return {
    atMs: nowMs,
    packetsReceived,
    packetsLost,
    packetsSent,
    remotePacketsLost,
    codec: codecs.get(codecId),
    concealedSamples: Math.max(0, concealedSamples),
    totalSamples,
    jitterMs,
    roundTripMs,
    remoteLoss,
    microphoneLevel,
    speakerLevel,
    framesDecoded,
  };
}

const WINDOW = 5;
/** Phones that leave out silence send less than a packet a second; a line on which nothing comes for so long is not clear. */
const NOTHING_FOR = 2;
const SILENT_LEVEL = 0.0001;
const SILENT_SAMPLES = 8;

/** The last seconds of a call → one grade and one sentence. */
export class QualityMeter {
  #samples: QualitySample[] = [];

  add(sample: QualitySample): void {
    // Another connection has taken over, whose counters begin anew.
    if (sample.packetsReceived < (this.#samples.at(-1)?.packetsReceived ?? 0)) this.#samples = [];
    this.#samples.push(sample);
    if (this.#samples.length > SILENT_SAMPLES + 1) this.#samples.shift();
  }

  /** @param muted our own microphone is muted, so silence there is meant */
  quality(muted: boolean): Quality {
    const last = this.#samples.at(-1);
    const recent = this.#samples.slice(-(WINDOW + 1));
    const first = recent[0];
    if (!last || !first || last === first) return { ...UNKNOWN, microphoneLevel: last?.microphoneLevel ?? 0 };
    const received = last.packetsReceived - first.packetsReceived;
    const lost = Math.max(0, last.packetsLost - first.packetsLost);
    const lossIn = received + lost > 0 ? lost / (received + lost) : 0;
    const samples = last.totalSamples - first.totalSamples;
    const concealed = samples > 0 ? Math.max(0, last.concealedSamples - first.concealedSamples) / samples : 0;
    const previous = recent.at(-2)!;
    const before = recent.at(-1 - NOTHING_FOR) ?? first;
    const facts = {
      roundTripMs: last.roundTripMs,
      lossIn,
      lossOut: last.remoteLoss,
      jitterMs: last.jitterMs,
      concealed,
      microphoneSilent:
        !muted && this.#samples.length > SILENT_SAMPLES && this.#samples.every((s) => s.microphoneLevel < SILENT_LEVEL),
      microphoneLevel: last.microphoneLevel,
      speakerLevel: last.speakerLevel,
      videoArrives:
        last.framesDecoded > previous.framesDecoded || previous.framesDecoded > (recent.at(-3)?.framesDecoded ?? 0),
    };
    return { ...facts, ...judge(facts, last.packetsReceived > before.packetsReceived || recent.length < 4) };
  }
}

const UNKNOWN: Quality = {
  grade: 'unknown',
  words: 'Measuring the line…',
  roundTripMs: undefined,
  lossIn: 0,
  lossOut: 0,
  jitterMs: 0,
  concealed: 0,
  microphoneSilent: false,
  microphoneLevel: 0,
  speakerLevel: 0,
  videoArrives: false,
};

const percent = (share: number): string => `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)}\u00a0%`;

type Facts = Omit<Quality, 'grade' | 'words'>;

/** Thresholds after Twilio's: loss 1 % / 3 %, jitter 30 ms, round trip 400 ms. */
function judge(facts: Facts, arriving: boolean): Pick<Quality, 'grade' | 'words'> {
  const trip =
    facts.roundTripMs === undefined ? '' : `, round trip ${Math.max(1, Math.round(facts.roundTripMs))}\u00a0ms`;
  if (!arriving) return { grade: 'none', words: 'Nothing arrives from the other side right now' };
  if (facts.microphoneSilent) return { grade: 'fair', words: 'Your microphone is silent — is it switched off?' };
  if (facts.lossIn >= 0.03)
    return {
      grade: 'poor',
      words: `${percent(facts.lossIn)} of the sound is lost on the way to you${heard(facts.concealed)}`,
    };
  if (facts.lossOut >= 0.03)
    return { grade: 'poor', words: `${percent(facts.lossOut)} of your sound is lost on the way out` };
  if ((facts.roundTripMs ?? 0) >= 400)
    return { grade: 'poor', words: `Long delay${trip}: expect to interrupt each other` };
  if (facts.lossIn >= 0.01)
    return {
      grade: 'fair',
      words: `A little loss on the way to you (${percent(facts.lossIn)})${heard(facts.concealed)}`,
    };
  if (facts.lossOut >= 0.01)
    return { grade: 'fair', words: `A little loss on the way out (${percent(facts.lossOut)})` };
  if (facts.jitterMs >= 30)
    return { grade: 'fair', words: `Uneven arrival (jitter ${Math.round(facts.jitterMs)}\u00a0ms)${trip}` };
  return { grade: 'good', words: `Clear line, no loss${trip}` };
}

function heard(concealed: number): string {
  return concealed < 0.01 ? ', hidden so far by concealment' : ', and you can hear it';
}
