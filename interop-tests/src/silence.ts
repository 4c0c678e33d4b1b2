import type { Phone } from './browser.ts';

type Watching = { readonly offhook: { peerConnections(): RTCPeerConnection[] }; longestSilenceMs: number | undefined };

/** How often the page counts. */
const EVERY_MS = 20;

/** From now on the page counts the RTP packets of sound that it could decrypt, and for how long there were none. */
export async function watchSilence(phone: Phone): Promise<void> {
  await phone.page.evaluate((everyMs) => {
    const page = window as unknown as Watching;
    let packets = -1;
    let changedAt = performance.now();
    const count = async () => {
      let sum = 0;
      for (const pc of page.offhook.peerConnections()) {
        // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
        (await pc.getStats()).forEach((s: any) => {
          if (s.type === 'inbound-rtp' && s.kind === 'audio') sum += s.packetsReceived ?? 0;
        });
      }
      const now = performance.now();
      page.longestSilenceMs = Math.max(page.longestSilenceMs ?? 0, now - changedAt);
      if (sum !== packets) changedAt = now;
      packets = sum;
      setTimeout(() => void count(), everyMs);
    };
    void count();
  }, EVERY_MS);
}

/** The longest time without sound since that was last asked, ms; NaN when the page has not counted since. */
export function longestSilenceMs(phone: Phone): Promise<number> {
  return phone.page.evaluate(() => {
    const page = window as unknown as Watching;
    const longest = page.longestSilenceMs ?? Number.NaN;
    page.longestSilenceMs = undefined;
    return longest;
  });
}
