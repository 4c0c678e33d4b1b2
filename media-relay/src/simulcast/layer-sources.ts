import {
  findRtpExtension,
  rtpExtensionData,
  rtpExtensionLength,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSsrc,
} from '@offhook/core';
import type { SimulcastLayer } from './layer.ts';

/** Identifiers of header extensions on the sender's leg, 0 = not agreed on. */
export interface LayerExtensions {
  /** RtpStreamId and RepairedRtpStreamId (RFC 8852 3.1, 3.2), and the section's mid (RFC 9143 15.2). */
  readonly rid: number;
  readonly repairedRid: number;
  readonly mid: number;
}

/** Where a packet belongs whose source no layer has. */
export const Origin = { unknown: 0, foreign: 1 } as const;
export type Origin = (typeof Origin)[keyof typeof Origin];

/**
 * Which layer a source is, learnt from the header extensions of opened packets. A layer has one source and one of
 * retransmissions, the newest that names it, so a sender can't make this grow.
 */
export class LayerSources {
  #layers: readonly SimulcastLayer[] = [];
  #rids: readonly Uint8Array[] = [];
  #mid: Uint8Array = new Uint8Array(0);
  #extensions: LayerExtensions = { rid: 0, repairedRid: 0, mid: 0 };
  #originals: Uint8Array = new Uint8Array(128);
  #last: SimulcastLayer | undefined;

  /** @param rids of the layers; none = whatever comes is the one layer. @param originals as of `RtxSettings`. */
  configure(
    layers: readonly SimulcastLayer[],
    settings: {
      readonly rids: readonly string[];
      readonly mid: string | undefined;
      readonly extensions: LayerExtensions;
      readonly originals: Uint8Array;
    },
  ): void {
    this.#layers = layers;
    this.#rids = settings.rids.map(textBytes);
    this.#mid = textBytes(settings.mid ?? '');
    this.#extensions = settings.extensions;
    this.#originals = settings.originals;
    this.#last = undefined;
  }

  /** The layer of a source, be it of its retransmissions. */
  find(ssrc: number): SimulcastLayer | undefined {
    const source = ssrc | 0;
    const last = this.#last;
    if (last !== undefined && last.source === source) return last;
    for (let i = 0; i < this.#layers.length; i++) {
      const layer = this.#layers[i]!;
      if (layer.source !== source && layer.rtxSource !== source) continue;
      this.#last = layer;
      return layer;
    }
    return undefined;
  }

  /** The layer that a packet of an unknown source says it is of, which from now on it is. */
  learn(bytes: Uint8Array, offset: number, length: number): SimulcastLayer | Origin {
    const header = rtpHeaderLength(bytes, offset, length);
    if (header < 0) return Origin.unknown;
    const { rid, repairedRid, mid } = this.#extensions;
    const midAt = mid === 0 ? -1 : findRtpExtension(bytes, offset, header, mid);
    if (midAt >= 0 && !says(bytes, offset, midAt, this.#mid)) return Origin.foreign;
    const isRtx = this.#originals[rtpPayloadType(bytes, offset)] !== 0;
    const layer =
      this.#rids.length === 0 ? this.#layers[0] : this.#named(bytes, offset, header, isRtx ? repairedRid : rid);
    if (layer === undefined) return Origin.unknown;
    const source = rtpSsrc(bytes, offset) | 0;
    if (isRtx) layer.rtxSource = source;
    else layer.take(source);
    return layer;
  }

  #named(bytes: Uint8Array, offset: number, header: number, id: number): SimulcastLayer | undefined {
    const at = id === 0 ? -1 : findRtpExtension(bytes, offset, header, id);
    if (at < 0) return undefined;
    for (let i = 0; i < this.#rids.length; i++) if (says(bytes, offset, at, this.#rids[i]!)) return this.#layers[i];
    return undefined;
  }
}

function says(bytes: Uint8Array, offset: number, at: number, words: Uint8Array): boolean {
  if (rtpExtensionLength(bytes, offset, at) !== words.length) return false;
  const data = rtpExtensionData(bytes, offset, at);
  for (let i = 0; i < words.length; i++) if (bytes[data + i] !== words[i]) return false;
  return true;
}

/** Of a token, which is ASCII. */
function textBytes(words: string): Uint8Array {
  return Uint8Array.from(words, (letter) => letter.charCodeAt(0));
}
