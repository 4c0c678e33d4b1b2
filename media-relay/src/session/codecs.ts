import { cloneSdp, type MediaDescription, removePayloadTypes, rtpMaps, type SessionDescription } from '@offhook/core';

/** What becomes of the formats of an offer, by name (`opus`, `opus/48000/2`), payload type, or `all`. */
export interface CodecChange {
  /** Taken out. */
  readonly strip: readonly string[];
  /** Stay although `strip` says `all`. */
  readonly except: readonly string[];
  /** As `except`, and they come first in this order. */
  readonly offer: readonly string[];
  /** Have to be there; made from others they can't be here. */
  readonly transcode: readonly string[];
}

interface Format {
  readonly payloadType: number;
  /** `opus/48000/2` in lower case; empty when nothing says what it is. */
  readonly full: string;
  readonly associated: number | undefined;
}

/** The description with other formats in its audio and video sections; one that would lose all keeps them. */
export function changeCodecs(far: SessionDescription, change: CodecChange): SessionDescription {
  const sd = cloneSdp(far);
  for (const media of sd.media) if (isRtp(media)) changeSection(media, change);
  return sd;
}

/** Names of `transcode` that no audio section has. */
export function missingCodecs(sd: SessionDescription, { transcode }: CodecChange): string[] {
  const formats = sd.media.filter((m) => m.kind === 'audio' && isRtp(m)).flatMap(formatsOf);
  return transcode.filter((name) => !formats.some((format) => isNamed(format, name)));
}

function isRtp(media: MediaDescription): boolean {
  return media.port !== 0 && media.protocol.toUpperCase().includes('RTP/') && /^(audio|video)$/.test(media.kind);
}

function changeSection(media: MediaDescription, { strip, except, offer, transcode }: CodecChange): void {
  const formats = formatsOf(media);
  const stripsAll = strip.some((name) => /^(all|full)$/i.test(name));
  const kept = [...except, ...offer, ...transcode];
  const isKept = (format: Format) => kept.some((name) => isNamed(format, name));
  const unwanted = new Set(
    formats.filter((f) => (stripsAll ? !isKept(f) : strip.some((name) => isNamed(f, name)))).map((f) => f.payloadType),
  );
  // What only repairs a format goes with it (RFC 4588 8.6).
  for (const f of formats) if (f.associated !== undefined && unwanted.has(f.associated)) unwanted.add(f.payloadType);
  if (unwanted.size > 0 && unwanted.size < media.formats.length) {
    removePayloadTypes(media, (payloadType) => unwanted.has(payloadType));
  }
  if (offer.length === 0) return;
  const rank = new Map(formats.map((f) => [String(f.payloadType), offer.findIndex((name) => isNamed(f, name))]));
  const place = (format: string) => {
    const at = rank.get(format) ?? -1;
    return at < 0 ? offer.length : at;
  };
  media.formats.sort((a, b) => place(a) - place(b)); // stable: the others keep their order
}

function formatsOf(media: MediaDescription): Format[] {
  const maps = new Map(rtpMaps(media).map((map) => [map.payloadType, map]));
  return media.formats.map((format) => {
    const payloadType = Number(format);
    const map = maps.get(payloadType);
    const channels = map?.channels !== undefined && map.channels > 1 ? `/${map.channels}` : '';
    const apt = /^apt=(\d{1,3})\b/.exec(map?.fmtp ?? '')?.[1];
    return {
      payloadType,
      full: map ? `${map.encoding}/${map.clockRate}${channels}`.toLowerCase() : '',
      associated: apt === undefined ? undefined : Number(apt),
    };
  });
}

/** RFC 8866 6.6: a rtpmap without channels is of one channel. */
const ONE_CHANNEL = /^([^/]+\/\d+)\/1$/;

/** Whether the format is the one of that name: as much of name/rate/channels as is said, or the payload type. */
function isNamed({ payloadType, full }: Format, name: string): boolean {
  const wanted = name.toLowerCase();
  const ofOneChannel = ONE_CHANNEL.exec(wanted)?.[1];
  if (ofOneChannel !== undefined) return full === ofOneChannel;
  return wanted === String(payloadType) || wanted === full || (full !== '' && full.startsWith(`${wanted}/`));
}
