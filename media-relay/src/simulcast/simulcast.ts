import {
  beginsAv1Key,
  beginsH264Key,
  beginsVp9Key,
  readVp8,
  rtpHeaderLength,
  rtpPaddingLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  timestampDistance,
  type Vp8Descriptor,
  vp8Descriptor,
} from '@offhook/core';
import type { VideoRepair } from '../recovery/index.ts';
import { ForwardedStream } from './forwarded-stream.ts';
import { NO_SOURCE, SimulcastLayer, ticksOf } from './layer.ts';
import { LayerSelection } from './layer-selection.ts';
import { type LayerExtensions, LayerSources, Origin } from './layer-sources.ts';

/** What a payload type carries: from which packets decoding can begin is known of the first four. */
export const PictureKind = { none: 0, vp8: 1, h264: 2, vp9: 3, av1: 4, other: 5, rtx: 6 } as const;
/** Layers of one stream: what browsers send, and one more. */
export const MAX_LAYERS = 4;

const CHOOSE_MS = 100;
/** Without feedback for so long the receiver gives none: it is sent what a single stream would be. */
const UNHEARD_MS = 10_000;
/** A key frame that doesn't come is asked for again, as `KeyFrameRequests` does. */
const ASK_MS = 1000;
/** Clocks of layers that differ by more than this, a second, from what their packets' arrival says are not believed. */
const MOST_TICKS = 90_000;
/** The sender's uplink is its own affair: its own congestion control limits it, and nothing of the receiver's. */
const UPLINK_BPS = 10_000_000;
const NO_SOURCES: ReadonlyMap<number, number> = new Map();

export interface SimulcastSettings {
  /** As agreed on, at most `MAX_LAYERS`; none = the sender sends one stream, and all that comes is that. */
  readonly rids: readonly string[];
  readonly mid: string | undefined;
  readonly extensions: LayerExtensions;
  /** `PictureKind` by payload type. */
  readonly kinds: Uint8Array;
  /** The original's payload type by that of its RTX, 0 = none. */
  readonly originals: Uint8Array;
  /** A source of the section was learnt, or is known from before. */
  readonly onSource: (ssrc: number) => void;
}

/** What the choice stands on, the rate of the receiver's downlink, and the ways to speak to the sender. */
export interface SimulcastEnds {
  readonly downlink: { downlinkBps(withSound: boolean, nowMs: number): number | undefined } | undefined;
  readonly requests: { handleRate(bps: number, nowMs: number): void } | undefined;
  readonly repair: VideoRepair | undefined;
  /** Between the receiver and us. */
  readonly farRepair: VideoRepair | undefined;
}

/**
 * Simulcast of one sender (RFC 8853) that becomes one stream of one receiver: which layer goes on is `LayerChoice`'s, another
 * one begins with its next key frame. Packets are its clock; nothing is allocated for one.
 */
export class Simulcast {
  readonly forwarded: ForwardedStream;
  readonly #sources = new LayerSources();
  readonly #selection = new LayerSelection();
  readonly #vp8 = vp8Descriptor();
  #settings: SimulcastSettings | undefined;
  #ends: SimulcastEnds = { downlink: undefined, requests: undefined, repair: undefined, farRepair: undefined };
  /** In the order of the rids. */
  #layers: SimulcastLayer[] = [];
  #current: SimulcastLayer | undefined;
  /** What went last, by whose clock the next one goes on. */
  #before: SimulcastLayer | undefined;
  /** What brings its timestamps to the stream's, without the tick that may have been needed not to go back. */
  #shift = 0;
  #beganAtMs = -1;
  #isHeard = false;
  #chooseAtMs = 0;
  #askAtMs = 0;
  /** The payload of the packet at hand. */
  #payloadAt = 0;
  #payloadEnd = 0;
  #picture: Vp8Descriptor | undefined;
  /** How often another layer went on. */
  switches = 0;

  /** @param ssrc of the one stream. */
  constructor(ssrc: number) {
    this.forwarded = new ForwardedStream(ssrc);
  }

  /** What both descriptions say. Layers that stay go on. */
  configure(settings: SimulcastSettings): void {
    const known = this.#settings?.rids;
    this.#settings = settings;
    const { rids, originals, kinds } = settings;
    if (known?.join() !== rids.join()) {
      const wanted = rids.length === 0 ? [''] : rids;
      this.#layers = wanted.map((rid) => this.#layers[known?.indexOf(rid) ?? -1] ?? new SimulcastLayer());
      this.#selection.setLayers(this.#layers);
      if (this.#current && !this.#layers.includes(this.#current)) this.#current = undefined;
      this.#beganAtMs = -1;
    }
    const pictures = kinds.map((kind) => (kind === PictureKind.none || kind === PictureKind.rtx ? 0 : 1));
    for (const layer of this.#layers) layer.rtx.configure({ originals, pictures, sources: NO_SOURCES });
    this.#sources.configure(this.#layers, settings);
    // Who tells sections apart begins anew with each description.
    for (const { source, rtxSource } of this.#layers) {
      if (source !== NO_SOURCE) settings.onSource(source >>> 0);
      if (rtxSource !== NO_SOURCE) settings.onSource(rtxSource >>> 0);
    }
  }

  /** Whose pictures go where has changed. */
  connect(ends: SimulcastEnds): void {
    if (ends.downlink !== this.#ends.downlink) {
      this.#beganAtMs = -1;
      this.#isHeard = false;
    }
    this.#ends = ends;
  }

  /** The source of the layer that is forwarded, or is about to be; undefined before there is one. */
  get source(): number | undefined {
    const layer = this.#current ?? this.#selection.layer;
    return layer === undefined || layer.source === NO_SOURCE ? undefined : layer.source >>> 0;
  }

  /** The sender's source behind the one that the receiver knows. */
  readonly inward = (ssrc: number): number => (ssrc === this.forwarded.ssrc ? (this.source ?? ssrc) : ssrc);

  /** The source that the receiver knows for any layer's. */
  readonly outward = (ssrc: number): number => (this.#sources.find(ssrc) === undefined ? ssrc : this.forwarded.ssrc);

  /** The layer of a source. */
  layerOf(ssrc: number): SimulcastLayer | undefined {
    return this.#sources.find(ssrc);
  }

  isCurrent(layer: SimulcastLayer): boolean {
    return layer === this.#current;
  }

  /** For tests: the rid of the layer that is forwarded. */
  get current(): string | undefined {
    const at = this.#current === undefined ? -1 : this.#layers.indexOf(this.#current);
    return at < 0 ? undefined : (this.#settings!.rids[at] ?? '');
  }

  /**
   * An opened packet of the sender. What of it goes on, rewritten: its length, 0 = nothing (it is another layer's, or brings
   * nothing new), -1 = malformed. What isn't of this section passes as it is.
   */
  received(bytes: Uint8Array, offset: number, length: number, nowMs: number): number {
    const { kinds } = this.#settings!;
    if (kinds[rtpPayloadType(bytes, offset)] === PictureKind.none) return length;
    let layer = this.#sources.find(rtpSsrc(bytes, offset));
    if (layer === undefined) {
      const learnt = this.#learn(bytes, offset, length);
      if (learnt === Origin.foreign) return length;
      if (learnt === Origin.unknown) return 0;
      layer = learnt;
    }
    const out = layer.rtx.restore(bytes, offset, length);
    if (out <= 0) return out;
    const header = rtpHeaderLength(bytes, offset, out);
    const padding = header < 0 ? -1 : rtpPaddingLength(bytes, offset, out, header);
    if (padding < 0) return -1;
    this.#payloadAt = offset + header;
    this.#payloadEnd = offset + out - padding;
    const kind = kinds[rtpPayloadType(bytes, offset)]!;
    const isVp8 = kind === PictureKind.vp8 && readVp8(bytes, this.#payloadAt, this.#payloadEnd, this.#vp8);
    const isNewPicture = this.#payloadAt < this.#payloadEnd && layer.beginsPicture(rtpTimestamp(bytes, offset) | 0);
    layer.count(isVp8 ? this.#vp8.temporal : 0, out);
    if (nowMs >= this.#chooseAtMs) this.#choose(layer, nowMs);
    const isWanted = layer === this.#selection.layer;
    if (layer !== this.#current && !isWanted) return 0;
    this.#picture = isVp8 ? this.#vp8 : undefined;
    const isKey = this.#isKey(kind, bytes);
    if (isKey) {
      this.#ends.repair?.handleKeyFrame(layer.source >>> 0);
      if (layer !== this.#current) this.#begin(layer, bytes, offset, nowMs);
    } else if (layer !== this.#current) {
      if (kind === PictureKind.other && !isNewPicture) return 0;
      if (nowMs >= this.#askAtMs) this.#ask(nowMs);
      if (kind !== PictureKind.other) return 0;
      // The key frame that was asked for won't show: it comes to the receiver, who waits for it.
      this.#begin(layer, bytes, offset, nowMs);
    }
    this.#ends.repair?.track(layer.source >>> 0, rtpSequence(bytes, offset), nowMs);
    const octets = this.#payloadEnd - this.#payloadAt;
    if (!this.forwarded.follow(bytes, offset, this.#picture, octets, nowMs)) return 0;
    if (isKey && kind === PictureKind.h264) this.#ends.farRepair?.sentParameterSets(rtpSequence(bytes, offset));
    return out;
  }

  #learn(bytes: Uint8Array, offset: number, length: number): SimulcastLayer | Origin {
    const learnt = this.#sources.learn(bytes, offset, length);
    if (typeof learnt === 'number') return learnt;
    const ssrc = rtpSsrc(bytes, offset);
    this.#settings!.onSource(ssrc);
    // Another source of the layer begins with a key frame of its own.
    if (learnt === this.#current && learnt.source === (ssrc | 0)) this.#current = undefined;
    return learnt;
  }

  #isKey(kind: number, bytes: Uint8Array): boolean {
    switch (kind) {
      case PictureKind.vp8:
        return this.#vp8.isKey;
      case PictureKind.h264:
        return beginsH264Key(bytes, this.#payloadAt, this.#payloadEnd);
      case PictureKind.vp9:
        return beginsVp9Key(bytes, this.#payloadAt, this.#payloadEnd);
      case PictureKind.av1:
        return beginsAv1Key(bytes, this.#payloadAt, this.#payloadEnd);
      default:
        return false;
    }
  }

  #choose(layer: SimulcastLayer, nowMs: number): void {
    this.#chooseAtMs = nowMs + CHOOSE_MS;
    const selection = this.#selection;
    const before = selection.layer;
    if (this.#settings!.rids.length === 0) {
      if (!before) {
        selection.begin(layer);
        this.#askAtMs = nowMs;
      }
      return;
    }
    if (this.#beganAtMs < 0) {
      this.#beganAtMs = nowMs;
      if (!before) selection.begin(layer);
    }
    const bps = this.#ends.downlink?.downlinkBps(false, nowMs);
    this.#isHeard ||= bps !== undefined;
    const isMute = !this.#isHeard && nowMs - this.#beganAtMs > UNHEARD_MS;
    selection.handleTimeout(bps ?? (isMute ? Number.POSITIVE_INFINITY : undefined), nowMs);
    this.#ends.requests?.handleRate(UPLINK_BPS, nowMs);
    if (selection.layer === undefined) this.#current = undefined;
    else if (selection.layer === this.#current) this.forwarded.wantTemporal(selection.temporal);
    else if (selection.layer !== before) {
      this.#askAtMs = nowMs; // by its next packet at the latest
      if (selection.layer !== layer) this.#ask(nowMs);
    }
  }

  /** Asks for a key frame of the layer that is to go on. */
  #ask(nowMs: number): void {
    const source = this.#selection.layer?.source ?? NO_SOURCE;
    if (source === NO_SOURCE) return;
    this.#askAtMs = nowMs + ASK_MS;
    this.#ends.repair?.handleKeyFrameWish(source >>> 0, nowMs);
  }

  #begin(layer: SimulcastLayer, bytes: Uint8Array, offset: number, nowMs: number): void {
    const { forwarded } = this;
    forwarded.wantTemporal(this.#selection.temporal);
    this.#shift = forwarded.hasBegun ? this.#shiftOf(layer, rtpTimestamp(bytes, offset) | 0, nowMs) : 0;
    forwarded.begin(bytes, offset, this.#picture, this.#shift);
    this.#ends.farRepair?.forgetSent();
    this.#current = layer;
    this.#before = layer;
    this.switches++;
  }

  /** Layers have clocks that begin anywhere (RFC 3550 5.1): sender reports bring them together, before those arrival does. */
  #shiftOf(layer: SimulcastLayer, timestamp: number, nowMs: number): number {
    const { forwarded } = this;
    const byArrival = (forwarded.timestamp + ticksOf(nowMs - forwarded.sentAtMs) - timestamp) | 0;
    const byReports = this.#before && layer.shiftLike(this.#before, this.#shift);
    if (byReports === undefined || Math.abs(timestampDistance(byReports, byArrival)) > MOST_TICKS) return byArrival;
    return byReports;
  }
}
