import assert from 'node:assert/strict';
import { type Phone, recordRemote } from './browser.ts';
import { loudestTone } from './pitch.ts';
import { assertRelayed, type ToTurn, uriFor } from './relay-only.ts';
import type { System } from './system.ts';
import { turnAccount } from './turn-client.ts';

export interface WayThere {
  readonly phone: Phone;
  readonly way: ToTurn;
}

const TONES_HZ = [440, 700] as const;

/**
 * Connects two pages through two relayed addresses of the system's TURN server, and asserts that each hears the other's
 * tone and reads its text, and that all of it went that way.
 */
export async function connectByRelays(system: System, ...pair: readonly [WayThere, WayThere]): Promise<void> {
  pairs++;
  const ends = await Promise.all(
    pair.map(async ({ phone, way }, i) => {
      const user = `end-${pairs}-${way}-${i}`;
      await system.addUser(user, `pw-${user}-aA1`);
      const { uris, username, credential } = await turnAccount(system, user, `pw-${user}-aA1`);
      const server = { urls: uriFor(uris, way), username, credential };
      return { user, way, page: await RelayedPage.open(phone, { server, toneHz: TONES_HZ[i]! }) };
    }),
  );
  const [one, other] = ends as [(typeof ends)[0], (typeof ends)[0]];
  await RelayedPage.connect(one.page, other.page);
  assert.equal(await one.page.say('from the first', other.page), 'from the first');
  assert.equal(await other.page.say('from the second', one.page), 'from the second');
  await Promise.all(
    ends.map(async ({ user, way, page }, i) => {
      const { hz, share } = loudestTone(await recordRemote(page.phone, 2));
      console.error(`  ${user} hears ${hz} Hz, ${(share * 100).toFixed(0)} % of all sound`);
      assert.equal(hz, TONES_HZ[1 - i], `${user} hears ${hz} Hz`);
      assert.ok(share > PURE, `${user}: the tone is only ${share.toFixed(2)} of the sound`);
      assert.equal((await assertRelayed(system, page.phone, way, user)).remote, 'relay');
    }),
  );
  await Promise.all(ends.map(({ page }) => page.close()));
}

let pairs = 0;

/** The beginning of a recording may hold a stutter or silence. */
const PURE = 0.6;

/** What an end says and how it gets to its TURN server. */
export interface EndSettings {
  readonly server: RTCIceServer;
  /** A tone, told apart from the other end's. */
  readonly toneHz: number;
}

interface InPageEnd {
  offer(): Promise<string>;
  answer(offer: string): Promise<string>;
  accept(answer: string): Promise<void>;
  connected(): Promise<void>;
  say(text: string): void;
  heard(): Promise<string>;
  close(): void;
  peerConnections(): RTCPeerConnection[];
}

/** One end of a connection between two pages, all by relays; `recordRemote` and `relayInUse` take its page. */
export class RelayedPage {
  readonly phone: Phone;

  private constructor(phone: Phone) {
    this.phone = phone;
  }

  static async open(phone: Phone, settings: EndSettings): Promise<RelayedPage> {
    await phone.page.mouse.click(1, 1); // no page may sound before somebody has touched it
    await phone.page.evaluate(openEnd, settings);
    return new RelayedPage(phone);
  }

  /** Connects both: descriptions go by the test, each with all its candidates. */
  static async connect(one: RelayedPage, other: RelayedPage): Promise<void> {
    await one.#ask('accept', await other.#ask('answer', await one.#ask('offer')));
    await Promise.all([one.#ask('connected'), other.#ask('connected')]);
  }

  /** Sends a text over the data channel, and answers it as the other end has it. */
  async say(text: string, to: RelayedPage): Promise<string> {
    await this.#ask('say', text);
    return to.#ask('heard');
  }

  /** Gives its relayed address back, which a page that is merely closed may not. */
  close(): Promise<void> {
    return this.#ask('close');
  }

  // biome-ignore lint/suspicious/noExplicitAny: the verbs answer texts or nothing, which `connect` and `say` know
  #ask(verb: keyof InPageEnd, ...args: readonly string[]): Promise<any> {
    return this.phone.page.evaluate(
      ([name, given]) => {
        const end = (window as unknown as { offhook: Record<string, (...args: readonly string[]) => unknown> }).offhook;
        return end[name]!(...given);
      },
      [verb, args] as const,
    );
  }
}

/** Runs in the page, so it knows nothing of this module. */
async function openEnd({ server, toneHz }: EndSettings): Promise<void> {
  const pc = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: 'relay' });
  const context = new AudioContext();
  await context.resume();
  const tone = context.createOscillator();
  tone.frequency.value = toneHz;
  const out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  for (const track of out.stream.getTracks()) pc.addTrack(track, out.stream);
  const audio = new Audio();
  audio.autoplay = true;
  pc.ontrack = ({ streams }) => {
    audio.srcObject = streams[0]!;
  };
  const channel = pc.createDataChannel('texts', { negotiated: true, id: 0 });
  const opened = new Promise<void>((resolve, reject) => {
    channel.onopen = () => resolve();
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'failed') reject(new Error('the connection failed'));
    };
  });
  opened.catch(() => {});
  const heard = new Promise<string>((resolve) => {
    channel.onmessage = ({ data }) => resolve(String(data));
  });
  const complete = new Promise<void>((resolve) => {
    pc.onicegatheringstatechange = () => {
      if (pc.iceGatheringState === 'complete') resolve();
    };
  });
  const described = async () => {
    await pc.setLocalDescription();
    await complete;
    return pc.localDescription!.sdp;
  };
  const end: InPageEnd = {
    offer: described,
    answer: async (sdp) => {
      await pc.setRemoteDescription({ type: 'offer', sdp });
      return described();
    },
    accept: (sdp) => pc.setRemoteDescription({ type: 'answer', sdp }),
    connected: () => opened,
    say: (text) => channel.send(text),
    heard: () => heard,
    close: () => pc.close(),
    peerConnections: () => [pc],
  };
  Object.assign(window, { offhook: end });
}
