import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeNg, isSdpError, type NgDictionary, parseSdp, rtpMaps, utf8 } from '@offhook/core';
import { Peer } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';

/**
 * Bytes of Kamailio 5.6's rtpengine module, recorded between it and Debian's rtpengine 10.5, with what that answered
 * (interfaces pub/127.0.0.1 and priv/127.0.0.2!192.0.2.77). The same bytes are sent to our relay here.
 */
interface Exchange {
  readonly kamailio: string;
  readonly rtpengine: string;
}

let relay: TestRelay;
let client: Peer;

before(async () => {
  relay = await TestRelay.start({
    rtp: {
      interfaces: [
        { name: 'pub', address: '127.0.0.1' },
        { name: 'priv', address: '127.0.0.2', advertised: '192.0.2.77' },
      ],
      portMin: 0,
      portMax: 0,
    },
  });
  client = await Peer.open();
});

after(async () => {
  await client.close();
  await relay.stop();
});

const golden = (name: string): readonly Exchange[] =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'goldens', `${name}.json`), 'utf8')) as Exchange[];

async function ask(kamailio: string): Promise<NgDictionary> {
  client.send(utf8(kamailio), relay.ngAt);
  const answer = decodeNg((await client.next())!)!;
  assert.equal(answer.cookie, kamailio.split(' ')[0]);
  return answer.message;
}

/** What of a description two relays have to agree on: all but ports, keys and what names the session. */
function meaning(sdp: string) {
  const sd = parseSdp(sdp);
  assert.ok(!isSdpError(sd));
  return sd.media.map((media) => ({
    kind: media.kind,
    protocol: media.protocol,
    formats: media.formats,
    codecs: rtpMaps(media).map((m) => `${m.payloadType} ${m.encoding}/${m.clockRate}`),
    address: (media.connection ?? sd.connection)?.address,
    origin: sd.origin.address,
    attributes: media.attributes
      .filter(({ name }) => !['rtpmap', 'fmtp', 'crypto', 'mid'].includes(name))
      .map(({ name, value }) => (name === 'rtcp' ? 'rtcp, the next port' : `${name} ${value ?? ''}`))
      .sort(),
  }));
}

const portOf = (answer: NgDictionary) => Number(/^m=audio (\d+)/m.exec(String(answer.sdp))![1]);

test("a forked call in Kamailio's bytes: what rtpengine answers, ours answers too", async () => {
  const ports: number[] = [];
  for (const { kamailio, rtpengine } of golden('kamailio-forked-call')) {
    const theirs = decodeNg(utf8(rtpengine))!.message;
    const ours = await ask(kamailio);
    const command = decodeNg(utf8(kamailio))!.message.command as string;
    assert.equal(ours.result, theirs.result, command);
    if (theirs.sdp !== undefined) {
      assert.deepEqual(meaning(String(ours.sdp)), meaning(String(theirs.sdp)), command);
      ports.push(portOf(ours));
    } else if (command !== 'ping') {
      // query, and delete, which tells the same.
      assert.deepEqual(Object.keys(ours.totals as object).sort(), Object.keys(theirs.totals as object).sort());
      const tagged = Object.entries(theirs.tags as Record<string, NgDictionary>);
      for (const [tag, their] of tagged) {
        const our = (ours.tags as Record<string, NgDictionary>)[tag]!;
        assert.deepEqual([our.tag, our['via-branch']], [their.tag, their['via-branch']]);
        const endpoints = (of: NgDictionary) =>
          (of.medias as NgDictionary[]).flatMap((m) => (m.streams as NgDictionary[]).map((s) => s.endpoint));
        assert.deepEqual(endpoints(our), endpoints(their), tag);
      }
    }
  }
  const [toB1, toB2, toA1, toA2] = ports;
  assert.notEqual(toB1, toB2);
  assert.equal(toA1, toA2);
  const m = relay.metrics();
  assert.deepEqual([m.offhook_media_calls, m.offhook_media_rtp_port_pairs], [0, 0], 'the BYE has ended all branches');
});

test("many flags of a script in Kamailio's bytes: the same description as rtpengine's, and what nobody knows is counted", async () => {
  const [exchange] = golden('kamailio-flags');
  const ours = await ask(exchange!.kamailio);
  assert.equal(ours.result, 'ok', String(ours['error-reason']));
  const theirs = decodeNg(utf8(exchange!.rtpengine))!.message;
  assert.deepEqual(meaning(String(ours.sdp)), meaning(String(theirs.sdp)));
  const { statistics } = await relay.ng.call({ command: 'statistics' });
  const { unknown, control } = statistics as Record<string, NgDictionary>;
  assert.deepEqual({ ...unknown }, { 'nonsense-flag': 1, nonsense: 1 });
  assert.equal(control!.unknownFlags, 2);
  await relay.ng.call({ command: 'delete', 'call-id': 'golden-call' });
});
