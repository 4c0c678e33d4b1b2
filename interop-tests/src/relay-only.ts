import assert from 'node:assert/strict';
import { click, dial, type Phone, recordRemote, settle, signIn, waitForCall } from './browser.ts';
import { assertHears } from './proof.ts';
import type { Sentence } from './speech.ts';
import type { System } from './system.ts';
import { turnAccount } from './turn-client.ts';

/** How a browser gets to the TURN server. */
export type ToTurn = 'udp' | 'tcp' | 'tls';

const TO_TURN: readonly ToTurn[] = ['udp', 'tcp', 'tls'];

/** One of a server's URIs that leads there this way; not by loopback, if there is another. */
export function uriFor(uris: readonly string[], way: ToTurn): string {
  const form = way === 'tls' ? /^turns:.*transport=tcp$/ : new RegExp(`^turn:.*transport=${way}$`);
  const fitting = uris.filter((uri) => form.test(uri));
  const uri = fitting.find((one) => !one.includes(':127.0.0.1:')) ?? fitting[0];
  assert.ok(uri, `no URI for ${way} in ${uris}`);
  return uri;
}

export interface RelayInUse {
  readonly local: string;
  readonly remote: string;
  readonly relayProtocol: string;
  /** Chromium says it, Firefox doesn't. */
  readonly url?: string;
}

/** The candidates by which the page's live connection sends and receives now. */
export function relayInUse(phone: Phone): Promise<RelayInUse> {
  return phone.page.evaluate(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    const pcs = (window as unknown as { offhook: Handle }).offhook.peerConnections();
    const stats = await pcs.find((pc) => pc.connectionState === 'connected')!.getStats();
    // biome-ignore lint/suspicious/noExplicitAny: getStats has no useful static type for its dictionaries
    const all: any[] = [...stats.values()];
    const chosen = all.find((s) => s.type === 'transport')?.selectedCandidatePairId;
    const pair = stats.get(chosen) ?? all.find((s) => s.type === 'candidate-pair' && s.selected);
    const local = stats.get(pair.localCandidateId);
    const remote = stats.get(pair.remoteCandidateId);
    const { candidateType, relayProtocol, url } = local;
    return { local: candidateType, remote: remote.candidateType, relayProtocol, url };
  });
}

export interface Gathered {
  readonly candidates: readonly string[];
  /** Of `icecandidateerror`. */
  readonly errors: readonly number[];
}

/** The relayed addresses that the page's browser gets of this server. */
export function gather(phone: Phone, server: RTCIceServer): Promise<Gathered> {
  return phone.page.evaluate(async (asked) => {
    const pc = new RTCPeerConnection({ iceServers: [asked], iceTransportPolicy: 'relay' });
    const candidates: string[] = [];
    const errors: number[] = [];
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) candidates.push(candidate.candidate);
    };
    pc.onicecandidateerror = ({ errorCode }) => errors.push(errorCode);
    const complete = new Promise<void>((resolve) => {
      pc.onicegatheringstatechange = () => {
        if (pc.iceGatheringState === 'complete') resolve();
      };
    });
    pc.createDataChannel('asked');
    await pc.setLocalDescription();
    await complete;
    pc.close();
    return { candidates, errors };
  }, server);
}

/** From its next page on the phone is told this one TURN address alone. */
async function tellOnly(phone: Phone, uri: string): Promise<void> {
  await phone.page.addInitScript((only) => {
    const original = window.fetch.bind(window);
    window.fetch = async (input, init) => {
      const answer = await original(input, init);
      return input === '/api/turn' ? Response.json({ ...(await answer.json()), uris: [only] }) : answer;
    };
  }, uri);
}

export interface CallByRelay {
  readonly phone: Phone;
  readonly way: ToTurn;
  /** Of an account that nobody else has. */
  readonly user: string;
}

/** Relay-only calls to the echo from as many pages, each to TURN in another way. */
export function callEchoByRelay(system: System, phones: readonly Phone[]): Promise<CallByRelay[]> {
  return Promise.all(
    TO_TURN.map(async (way, i) => {
      const phone = phones[i]!;
      const user = `over-${way}`;
      await system.addUser(user, `pw-${user}-aA1`);
      await tellOnly(phone, uriFor((await turnAccount(system, user, `pw-${user}-aA1`)).uris, way));
      await signIn(phone, await system.loginLink(user), 'processing=off&ice=relay');
      await dial(phone, '600');
      await waitForCall(phone, 'active');
      return { phone, way, user };
    }),
  );
}

/**
 * Asserts that one's own words come back to all of them from the echo, each by the relay and its way, and that the TURN
 * server says so too.
 */
export async function assertEchoByRelay(
  system: System,
  calls: readonly CallByRelay[],
  { words, others }: { words: Sentence; others: Sentence },
): Promise<void> {
  await settle(...calls.map(({ phone }) => phone));
  await Promise.all(
    calls.map(async ({ phone, way, user }) => {
      assertHears(user, await recordRemote(phone, 6), words, others);
      await assertRelayed(system, phone, way, user);
    }),
  );
}

/** Hangs up all of them, whose pages must have had no errors. */
export async function endCalls(calls: readonly CallByRelay[]): Promise<void> {
  await Promise.all(
    calls.map(async ({ phone, user }) => {
      await click(phone, 'hangup');
      await waitForCall(phone, 'ended');
      assert.deepEqual(phone.errors, [], user);
    }),
  );
}

/** Asserts that the page's connection goes by the relay this way, and that the TURN server relays for that user both ways. */
export async function assertRelayed(system: System, phone: Phone, way: ToTurn, user: string): Promise<RelayInUse> {
  const used = await relayInUse(phone);
  assert.deepEqual([used.local, used.relayProtocol], ['relay', way]);
  if (used.url !== undefined) assert.equal(used.url, uriFor([used.url], way));
  const { users } = (await system.verb('turn', 'figures')) as { users: TurnUser[] };
  const figures = users.find((one) => one.user === user);
  assert.ok(figures && figures.allocations >= 1, `the TURN server has no allocation of ${user}`);
  const { packetsToPeers, packetsToClient } = figures;
  const least = Math.min(packetsToPeers, packetsToClient);
  assert.ok(least > PACKETS, `${user}: ${packetsToPeers} packets to peers, ${packetsToClient} to the client`);
  return used;
}

interface TurnUser {
  readonly user: string;
  readonly allocations: number;
  readonly packetsToPeers: number;
  readonly packetsToClient: number;
}

/** Of sound there are fifty a second; checks of the path alone are a few. */
const PACKETS = 40;
