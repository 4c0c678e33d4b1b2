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
        if (s.type === 'candidate-pair' && s.nominated) out.availableBps = s.availableOutgoingBitrate ?? 0;
      });
    }
    return out;
  });
}
