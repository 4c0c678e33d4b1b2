import type { Phone } from './browser.ts';

/** What a browser says of the pictures that it sends. */
export interface SenderStats {
  readonly atMs: number;
  /** Payload and headers of its pictures so far, without what was sent again. */
  readonly videoBytes: number;
  /** What its own congestion control thinks that it may send, bits a second; 0 = it doesn't say. */
  readonly availableBps: number;
  /** What its encoder aims at. */
  readonly targetBps: number;
  readonly limited: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

export async function senderStats(phone: Phone): Promise<SenderStats> {
  return phone.page.evaluate(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    const pcs = (window as unknown as { offhook: Handle }).offhook.peerConnections();
    const out = {
      atMs: performance.now(),
      videoBytes: 0,
      availableBps: 0,
      targetBps: 0,
      limited: '',
      width: 0,
      height: 0,
      fps: 0,
    };
    for (const pc of pcs.filter((one) => one.connectionState !== 'closed')) {
      // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
      (await pc.getStats()).forEach((s: any) => {
        if (s.type === 'outbound-rtp' && s.kind === 'video') {
          out.videoBytes += s.bytesSent + s.headerBytesSent - (s.retransmittedBytesSent ?? 0);
          out.targetBps = s.targetBitrate ?? 0;
          out.limited = s.qualityLimitationReason ?? '';
          out.width = s.frameWidth ?? 0;
          out.height = s.frameHeight ?? 0;
          out.fps = s.framesPerSecond ?? 0;
        }
        if (s.type === 'candidate-pair' && s.availableOutgoingBitrate !== undefined)
          out.availableBps = s.availableOutgoingBitrate; // of the pair in use alone
      });
    }
    return out;
  });
}

/** Packets of pictures that have come to a browser as RTX, those of probes too. */
export async function receivedAgain(phone: Phone): Promise<number> {
  return phone.page.evaluate(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    let packets = 0;
    for (const pc of (window as unknown as { offhook: Handle }).offhook.peerConnections()) {
      // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
      (await pc.getStats()).forEach((s: any) => {
        if (s.type === 'inbound-rtp' && s.kind === 'video') packets += s.retransmittedPacketsReceived ?? 0;
      });
    }
    return packets;
  });
}

interface Second {
  readonly sentBps: number;
  readonly availableBps: number;
}

/** What one browser sends as pictures in each second to come, and what it is allowed. */
export async function watch(
  phone: Phone,
  seconds: number,
  isEnough = (_: readonly Second[]) => false,
): Promise<Second[]> {
  const found: Second[] = [];
  let last: SenderStats = await senderStats(phone);
  for (let i = 0; i < seconds && !isEnough(found); i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const now = await senderStats(phone);
    const sentBps = ((now.videoBytes - last.videoBytes) * 8000) / (now.atMs - last.atMs);
    found.push({ sentBps: Math.round(sentBps), availableBps: Math.round(now.availableBps) });
    last = now;
  }
  return found;
}

/** Kilobits sent and allowed in each second. */
export function inWords(seconds: readonly Second[]): string {
  return seconds.map((s) => `${Math.round(s.sentBps / 1000)}/${Math.round(s.availableBps / 1000)}`).join(' ');
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
}

/** What was sent in the last three seconds. */
export function lastOf(seconds: readonly Second[]): number {
  return mean(seconds.slice(-3).map((s) => s.sentBps));
}
