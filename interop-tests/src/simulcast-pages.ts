import type { Phone } from './browser.ts';

/** One frame that a receiver has shown. */
export interface ShownFrame {
  readonly atMs: number;
  readonly width: number;
}

/** One layer as its sender counts it. */
export interface SentLayer {
  readonly rid: string;
  readonly bytes: number;
  readonly frames: number;
  readonly width: number;
  readonly codec: string;
}

export type PictureCodec = 'VP8' | 'H264';

export interface LayerSettings {
  readonly rid: string;
  readonly scaleResolutionDownBy: number;
  readonly maxBitrate: number;
}

interface Sender {
  accept(answer: string): Promise<void>;
  layers(): Promise<SentLayer[]>;
  close(): void;
}

interface Receiver {
  frames: ShownFrame[];
  connected(): Promise<void>;
  close(): void;
}

type Pages = { offhook: Sender & Receiver };

/** A page that paints a picture of 1280 × 720 and sends it in layers of that codec; its offer. */
export async function offerLayers(
  phone: Phone,
  layers: readonly LayerSettings[],
  codec: PictureCodec,
): Promise<string> {
  await phone.page.goto('about:blank');
  return phone.page.evaluate(
    async ({ sendEncodings, first }) => {
      const [width, height, side] = [1280, 720, 40];
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      const paint = canvas.getContext('2d')!;
      const gray = () => `hsl(0 0% ${40 + Math.floor(Math.random() * 20)}%)`;
      setInterval(() => {
        // A part of the picture changes with each frame, so that an encoder has use for what it is given.
        for (let i = 0; i < 60; i++) {
          paint.fillStyle = gray();
          paint.fillRect(side * Math.floor(Math.random() * 32), side * Math.floor(Math.random() * 18), side, side);
        }
      }, 66);
      const pc = new RTCPeerConnection();
      const [track] = canvas.captureStream(15).getVideoTracks();
      const transceiver = pc.addTransceiver(track!, { direction: 'sendonly', sendEncodings: [...sendEncodings] });
      const { sender } = transceiver;
      const likes = ({ mimeType }: { mimeType: string }) => (mimeType === first ? 0 : 1);
      const { codecs } = RTCRtpSender.getCapabilities('video')!;
      transceiver.setCodecPreferences(codecs.toSorted((a, b) => likes(a) - likes(b)));
      const page: Sender = {
        accept: (sdp) => pc.setRemoteDescription({ type: 'answer', sdp }),
        layers: async () => {
          const found: SentLayer[] = [];
          // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
          const stats: any = await sender.getStats();
          // biome-ignore lint/suspicious/noExplicitAny: the same
          stats.forEach((s: any) => {
            if (s.type !== 'outbound-rtp') return;
            const { rid = '', bytesSent: bytes, framesEncoded: frames, frameWidth: width = 0, codecId } = s;
            found.push({ rid, bytes, frames, width, codec: stats.get(codecId)?.mimeType ?? '' });
          });
          return found;
        },
        close: () => pc.close(),
      };
      Object.assign(window, { offhook: page });
      await pc.setLocalDescription();
      return pc.localDescription!.sdp;
    },
    { sendEncodings: layers, first: `video/${codec}` },
  );
}

/** A page that shows what that offer brings, and notes each frame; its answer. */
export async function answerOne(phone: Phone, offer: string): Promise<string> {
  await phone.page.goto('about:blank');
  return phone.page.evaluate(async (sdp) => {
    const pc = new RTCPeerConnection();
    const video = Object.assign(document.createElement('video'), { autoplay: true, muted: true });
    document.body.append(video);
    const frames: ShownFrame[] = [];
    const note = (atMs: number, { width }: { width: number }) => {
      frames.push({ atMs, width });
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    pc.ontrack = ({ track }) => {
      video.srcObject = new MediaStream([track]);
    };
    const connected = new Promise<void>((resolve, reject) => {
      pc.onconnectionstatechange = () => {
        if (pc.connectionState === 'connected') resolve();
        if (pc.connectionState === 'failed') reject(new Error('the connection failed'));
      };
    });
    connected.catch(() => {});
    const page: Receiver = { frames, connected: () => connected, close: () => pc.close() };
    Object.assign(window, { offhook: page });
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription();
    return pc.localDescription!.sdp;
  }, offer);
}

const inPage = (name: 'connected' | 'close' | 'layers') => (phone: Phone) =>
  phone.page.evaluate((verb) => (window as unknown as Pages).offhook[verb]() as unknown, name);

export const connected = inPage('connected') as (phone: Phone) => Promise<void>;
export const closePage = inPage('close') as (phone: Phone) => Promise<void>;
export const sentLayers = inPage('layers') as (phone: Phone) => Promise<SentLayer[]>;

export function accept(phone: Phone, answer: string): Promise<void> {
  return phone.page.evaluate((sdp) => (window as unknown as Pages).offhook.accept(sdp), answer);
}

/** The frames shown since this was asked last. */
export function shownFrames(phone: Phone): Promise<ShownFrame[]> {
  return phone.page.evaluate(() => (window as unknown as Pages).offhook.frames.splice(0));
}
