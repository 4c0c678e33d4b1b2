import { readFileSync } from 'node:fs';
import { type Browser, chromium, firefox, type Page } from 'playwright-core';
import type { Sentence } from './speech.ts';
import { waitUntil } from './system.ts';
import type { Sound } from './wav.ts';

export interface Phone {
  readonly page: Page;
  /** What the page logged as errors, and uncaught exceptions. */
  readonly errors: string[];
  close(): Promise<void>;
}

export interface ChromiumOptions {
  /** Without it the browser offers no 127.0.0.1 (default: true). */
  readonly loopbackCandidates?: boolean;
  /** Takes a server's certificate whoever has signed it. */
  readonly anyCertificate?: boolean;
  /** Its HOME, where it looks for the authorities that a person has imported (see `homeTrusting`). */
  readonly home?: string;
  /** What its camera sees, YUV4MPEG2; else the browser's own fake picture. */
  readonly cameraPath?: string;
  /** A name that it may resolve beside localhost. */
  readonly hostName?: string;
}

/** A Chromium process of its own whose microphone speaks the given WAV file over and over. */
export async function openChromium(microphonePath: string, options: ChromiumOptions = {}): Promise<Phone> {
  const names = ['localhost', '127.0.0.1', ...(options.hostName === undefined ? [] : [options.hostName])];
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    ...(options.home === undefined ? {} : { env: environment({ ...process.env, HOME: options.home }) }),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-renderer-backgrounding',
      '--disable-background-timer-throttling',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-audio-capture=${microphonePath}`,
      ...(options.cameraPath === undefined ? [] : [`--use-file-for-fake-video-capture=${options.cameraPath}`]),
      ...(options.loopbackCandidates === false ? [] : ['--allow-loopback-in-peer-connection']),
      `--host-resolver-rules=MAP * ~NOTFOUND${names.map((name) => ` , EXCLUDE ${name}`).join('')}`,
    ],
  });
  return openPage(browser, options.anyCertificate);
}

/**
 * Firefox ESR with its fake microphone; needs a PulseAudio sink (see `nullSink`) for its AudioContext to run.
 * @param profile of its own, with the authorities that a person has imported (see `profileTrusting`); else an empty one.
 */
export async function openFirefox(env: NodeJS.ProcessEnv, profile?: string): Promise<Phone> {
  const options = {
    channel: 'moz-firefox',
    executablePath: '/usr/bin/firefox-esr',
    headless: true,
    env: environment(env),
    firefoxUserPrefs: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.autoplay.default': 0,
      'media.autoplay.block-webaudio': false,
      'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false,
      'app.normandy.enabled': false,
      'browser.safebrowsing.update.enabled': false,
      'toolkit.telemetry.enabled': false,
      'browser.region.update.enabled': false,
      'dom.push.connection.enabled': false,
      'media.gmp-manager.updateEnabled': false,
    },
  };
  if (profile === undefined) return openPage(await firefox.launch(options));
  const context = await firefox.launchPersistentContext(profile, { ...options, viewport: VIEWPORT });
  return watched(context.pages()[0] ?? (await context.newPage()), () => context.close());
}

function environment(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

const VIEWPORT = { width: 1280, height: 800 };

async function openPage(browser: Browser, ignoreHTTPSErrors = false): Promise<Phone> {
  const context = await browser.newContext({ viewport: VIEWPORT, ignoreHTTPSErrors });
  return watched(await context.newPage(), () => browser.close());
}

/** One more page in the same browser, with the same microphone. */
export async function anotherPage(phone: Phone): Promise<Phone> {
  const page = await phone.page.context().newPage();
  return watched(page, () => page.close());
}

/**
 * One more page in each of these browsers, which may be the same one several times, for as long as `does` runs. Pages
 * share nothing: each is a phone for an account of its own.
 */
export async function withPages(
  browsers: readonly Phone[],
  does: (pages: readonly Phone[]) => Promise<void>,
): Promise<void> {
  const pages = await Promise.all(browsers.map(pageApart));
  try {
    await does(pages);
  } finally {
    await Promise.all(pages.map((page) => page.close()));
  }
}

async function pageApart(phone: Phone): Promise<Phone> {
  const context = await phone.page.context().browser()!.newContext({ viewport: VIEWPORT });
  return watched(await context.newPage(), () => context.close());
}

/** Firefox's fake microphone can only beep: from its next page on it says this sentence over and over, through WebAudio. */
export function letSpeak(phone: Phone, words: Sentence): Promise<unknown> {
  return phone.page.addInitScript((wav) => {
    if (!navigator.mediaDevices) return; // about:blank
    const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await original(wanted);
      if (!wanted?.audio) return stream;
      const context = new AudioContext();
      await context.resume();
      const bytes = Uint8Array.from(atob(wav), (c) => c.charCodeAt(0));
      const source = context.createBufferSource();
      source.buffer = await context.decodeAudioData(bytes.buffer);
      source.loop = true;
      const out = context.createMediaStreamDestination();
      source.connect(out);
      source.start();
      return new MediaStream([...out.stream.getAudioTracks(), ...stream.getVideoTracks()]);
    };
  }, readFileSync(words.path).toString('base64'));
}

function watched(page: Page, close: () => Promise<void>): Phone {
  page.setDefaultTimeout(20_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  return { page, errors, close };
}

export type CallState = 'idle' | 'calling' | 'ringing' | 'incoming' | 'active' | 'ended';

/** Opens the phone by its login link and waits until it is registered. */
export async function signIn(phone: Phone, link: string, query = 'processing=off'): Promise<void> {
  const url = new URL(link);
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.set(name, value);
  await leave(phone);
  await phone.page.goto(url.href);
  await phone.page.getByTestId('registration-state').and(phone.page.locator('[data-state=registered]')).waitFor();
}

/** Leaves the phone's page, so that nothing of it asks for a server that is about to stop, and forgets its errors. */
export async function leave(...phones: readonly Phone[]): Promise<void> {
  for (const phone of phones) {
    await phone.page.goto('about:blank');
    phone.errors.length = 0;
  }
}

export async function waitForCall(phone: Phone, state: CallState, timeout = 20_000): Promise<void> {
  const locator = phone.page.getByTestId('call-state').and(phone.page.locator(`[data-state=${state}]`));
  await locator.waitFor({ state: 'attached', timeout });
}

export async function dial(phone: Phone, to: string, media: 'audio' | 'video' = 'audio'): Promise<void> {
  await phone.page.getByTestId('dial-input').fill(to);
  await phone.page.getByTestId(media === 'audio' ? 'dial-call' : 'dial-video').click();
}

/** Takes the call that rings, or is about to. */
export async function answer(phone: Phone, media: 'audio' | 'video' = 'audio'): Promise<void> {
  await waitForCall(phone, 'incoming');
  await click(phone, media === 'audio' ? 'answer' : 'answer-video');
}

/**
 * A short call to the echo, unmeasured: the first sound and the first recording of a new browser process stutter while
 * its audio and codec threads start.
 */
export async function warmUp(...phones: readonly Phone[]): Promise<void> {
  for (const phone of phones) {
    await dial(phone, '600');
    await waitForCall(phone, 'active');
    await recordRemote(phone, 2);
    await click(phone, 'hangup');
    await waitForCall(phone, 'idle');
  }
}

export async function click(phone: Phone, testId: string): Promise<void> {
  await phone.page.getByTestId(testId).click();
}

/** So long no jitter buffer may have stretched, squeezed or invented sound before a recording begins. */
const STEADY_MS = 500;
/** A machine so busy that buffers never come to rest is measured as it is. */
const SETTLE_AT_MOST_MS = 10_000;

/**
 * Waits until the jitter buffers of all these phones have found their depth for now. After a call begins and after video
 * comes they stretch and squeeze speech more than `likeness` follows.
 */
export async function settle(...phones: readonly Phone[]): Promise<void> {
  await Promise.all(
    phones.map((phone) =>
      phone.page.evaluate(
        async ({ steadyMs, atMostMs }) => {
          type Handle = { peerConnections(): RTCPeerConnection[] };
          const touched = async () => {
            let sum = 0;
            for (const pc of (window as unknown as { offhook: Handle }).offhook.peerConnections()) {
              // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
              (await pc.getStats()).forEach((s: any) => {
                if (s.type !== 'inbound-rtp' || s.kind !== 'audio') return;
                sum += (s.insertedSamplesForDeceleration ?? 0) + (s.removedSamplesForAcceleration ?? 0);
                sum += s.concealmentEvents ?? 0;
              });
            }
            return sum;
          };
          const began = performance.now();
          let last = await touched();
          let since = began;
          while (performance.now() - since < steadyMs && performance.now() - began < atMostMs) {
            await new Promise((resolve) => setTimeout(resolve, 250));
            const now = await touched();
            if (now !== last) since = performance.now();
            last = now;
          }
        },
        { steadyMs: STEADY_MS, atMostMs: SETTLE_AT_MOST_MS },
      ),
    ),
  );
}

/**
 * Records what arrives from the far end for `seconds`. MediaRecorder runs beside the page's own thread, so a busy page
 * loses nothing; its Opus is decoded by the page afterwards.
 */
export async function recordRemote(phone: Phone, seconds: number): Promise<Sound> {
  const recorded = await phone.page.evaluate(async (wanted) => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    const pcs = (window as unknown as { offhook: Handle }).offhook.peerConnections();
    const tracks = pcs
      .filter((pc) => pc.connectionState !== 'closed')
      .flatMap((pc) => pc.getReceivers())
      .map((receiver) => receiver.track)
      .filter((track) => track.kind === 'audio' && track.readyState === 'live');
    if (tracks.length === 0) throw new Error('no live remote audio track');
    const recorder = new MediaRecorder(new MediaStream([tracks[tracks.length - 1]!]), { audioBitsPerSecond: 128_000 });
    const chunks: Blob[] = [];
    recorder.ondataavailable = (event) => chunks.push(event.data);
    const stopped = new Promise<void>((resolve) => {
      recorder.onstop = () => resolve();
    });
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, wanted * 1000));
    recorder.stop();
    await stopped;
    const bytes = await new Blob(chunks).arrayBuffer();
    const audio = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(bytes);
    const samples = audio.getChannelData(0);
    const all = new Int16Array(samples.length);
    for (let i = 0; i < samples.length; i++) all[i] = Math.max(-1, Math.min(1, samples[i]!)) * 32767;
    const raw = new Uint8Array(all.buffer);
    let text = '';
    for (let i = 0; i < raw.length; i += 0x8000) text += String.fromCharCode(...raw.subarray(i, i + 0x8000));
    return { rate: audio.sampleRate, base64: btoa(text) };
  }, seconds);
  const bytes = Buffer.from(recorded.base64, 'base64');
  const samples = new Float32Array(bytes.length / 2);
  for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(i * 2) / 32768;
  return { rate: recorded.rate, samples };
}

/** Waits until this phone has decoded `more` video frames than now: its picture moves. */
export async function waitForNewFrames(phone: Phone, more = 10, timeoutMs = 15_000): Promise<void> {
  const first = (await mediaStats(phone)).framesDecoded;
  let now = first;
  await waitUntil(
    'the picture moves',
    async () => {
      now = (await mediaStats(phone)).framesDecoded;
      return now >= first + more;
    },
    timeoutMs,
    () => `(${now - first} new frames)`,
  );
}

export interface MediaStats {
  readonly audioPacketsReceived: number;
  readonly audioPacketsLost: number;
  /** Concealed samples that were not silence, as a share of all received samples. */
  readonly concealedShare: number;
  readonly framesDecoded: number;
  readonly codecs: readonly string[];
  readonly dtls: string;
  readonly srtp: string;
  readonly localCandidate: string;
  readonly remoteCandidate: string;
}

/** Sums of the live peer connections' getStats. */
export async function mediaStats(phone: Phone): Promise<MediaStats> {
  return phone.page.evaluate(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    const pcs = (window as unknown as { offhook: Handle }).offhook.peerConnections();
    const out = {
      audioPacketsReceived: 0,
      audioPacketsLost: 0,
      concealedShare: 0,
      framesDecoded: 0,
      codecs: [] as string[],
      dtls: '',
      srtp: '',
      localCandidate: '',
      remoteCandidate: '',
    };
    let concealed = 0;
    let received = 0;
    for (const pc of pcs) {
      if (pc.connectionState === 'closed') continue;
      const stats = await pc.getStats();
      // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
      stats.forEach((s: any) => {
        if (s.type === 'inbound-rtp' && s.kind === 'audio') {
          out.audioPacketsReceived += s.packetsReceived ?? 0;
          out.audioPacketsLost += s.packetsLost ?? 0;
          concealed += (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0);
          received += s.totalSamplesReceived ?? 0;
          out.codecs.push(stats.get(s.codecId)?.mimeType ?? '');
        }
        if (s.type === 'inbound-rtp' && s.kind === 'video') out.framesDecoded += s.framesDecoded ?? 0;
        if (s.type === 'transport') {
          out.dtls = s.tlsVersion ?? '';
          out.srtp = s.srtpCipher ?? '';
          const pair = stats.get(s.selectedCandidatePairId);
          if (pair) {
            out.localCandidate = stats.get(pair.localCandidateId)?.candidateType ?? '';
            out.remoteCandidate = `${stats.get(pair.remoteCandidateId)?.address}:${stats.get(pair.remoteCandidateId)?.port}`;
          }
        }
      });
    }
    out.concealedShare = received > 0 ? concealed / received : 0;
    return out;
  });
}
