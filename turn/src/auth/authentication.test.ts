import assert from 'node:assert/strict';
import { PASSWORD_ALGORITHMS, StunAttribute, StunMethod } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { code, TestClient, transport } from '../testkit/client.ts';
import { newClient, virtual } from '../testkit/virtual-test.ts';
import { REALM } from '../testkit/world.ts';
import { longTermUser } from './long-term-users.ts';

const STORED = longTermUser('desk', REALM, 'correct horse', nodeCrypto);
/** coturn's `user=old:0x…` hands over no more. */
const MD5_ONLY = { ...longTermUser('old', REALM, 'battery staple', nodeCrypto), sha256: undefined } as never;

virtual(
  'a challenge offers SHA-256 before MD5 and says so in the nonce; its 96 bytes are 68 without',
  async (world) => {
    const alice = await newClient(world);
    const answer = await alice.exchange(alice.unsigned(StunMethod.allocate, transport));
    assert.match(answer.text(StunAttribute.nonce)!, /^obMatJos2AAAB/);
    assert.deepEqual(answer.attribute(StunAttribute.passwordAlgorithms), PASSWORD_ALGORITHMS);
    assert.equal(answer.bytes.length, 96);
  },
);

virtual(
  'without SHA-256 a challenge has neither cookie nor list, and a client that chooses is refused',
  async (world) => {
    const alice = await newClient(world);
    const answer = await alice.exchange(alice.unsigned(StunMethod.allocate, transport));
    assert.equal(answer.bytes.length, 68);
    assert.equal(answer.has(StunAttribute.passwordAlgorithms), false);
    alice.nonce = answer.text(StunAttribute.nonce)!;
    alice.algorithm = 'sha256';
    alice.offered = PASSWORD_ALGORITHMS;
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 400);
  },
  { sha256: false },
);

for (const algorithm of ['sha256', 'md5'] as const) {
  virtual(`a client that chooses ${algorithm} is answered with MESSAGE-INTEGRITY-SHA256 throughout`, async (world) => {
    const alice = await newClient(world);
    alice.algorithm = algorithm;
    const peer = await world.socket();
    await alice.allocate();
    for (const answer of [
      await alice.permit(peer.local),
      await alice.bind(0x4000, peer.local),
      await alice.refresh(600),
    ]) {
      assert.equal(code(answer), 0);
      assert.ok(answer.hasIntegritySha256 && !answer.hasIntegrity);
    }
  });
}

virtual(
  'somebody on the way who takes the offer out is found: 400, or 438 when the nonce was changed',
  async (world) => {
    const alice = await newClient(world);
    alice.algorithm = 'sha256';
    await alice.challenge();
    const all = alice.offered;
    alice.offered = undefined;
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 400, 'no list');
    alice.offered = new Uint8Array([0, 1, 0, 0]);
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 400, 'a list with MD5 alone');
    alice.offered = all;
    alice.nonce = alice.nonce.replace('obMatJos2AAAB', 'obMatJos2AAAA');
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 438, 'features taken out of the nonce');
    await alice.challenge();
    alice.nonce = alice.nonce.slice(13);
    assert.equal(code(await alice.request(StunMethod.allocate, transport)), 438, 'no cookie');
  },
);

virtual('PASSWORD-ALGORITHM that nobody offered, alone, or malformed is 400', async (world) => {
  const alice = await newClient(world);
  await alice.challenge();
  const write = (value: Uint8Array) => (w: Parameters<typeof transport>[0]) => {
    transport(w);
    w.bytes(StunAttribute.passwordAlgorithms, PASSWORD_ALGORITHMS);
    w.bytes(StunAttribute.passwordAlgorithm, value);
  };
  for (const value of [new Uint8Array([0, 3, 0, 0]), new Uint8Array([0, 2]), new Uint8Array(0)]) {
    assert.equal(code(await alice.request(StunMethod.allocate, write(value))), 400);
  }
});

virtual('a truncated MESSAGE-INTEGRITY-SHA256 is 401: TURN allows none', async (world) => {
  const alice = await newClient(world);
  alice.algorithm = 'sha256';
  await alice.challenge();
  const whole = alice.signed(StunMethod.allocate, transport);
  for (const length of [16, 28]) {
    const cut = whole.slice(0, whole.length - 32 + length);
    cut[3] = cut.length - 20;
    cut[whole.length - 33] = length;
    assert.equal(code(await alice.exchange(cut)), 401, `${length} bytes`);
  }
});

virtual(
  'stored users sign in by name or by USERHASH, with both algorithms; the nonce demands anonymity only without secrets',
  async (world) => {
    for (const [algorithm, isAnonymous] of [
      ['old', false],
      ['md5', false],
      ['sha256', false],
      ['sha256', true],
    ] as const) {
      const desk = new TestClient(await world.socket(), world.listener, { username: 'desk' });
      desk.password = 'correct horse';
      desk.algorithm = algorithm;
      desk.isAnonymous = isAnonymous;
      await desk.allocate();
      assert.match(desk.nonce, /^obMatJos2AAAB/);
      assert.equal(code(await desk.refresh(0)), 0);
    }
    const wrong = new TestClient(await world.socket(), world.listener, { username: 'desk' });
    wrong.password = 'wrong horse';
    assert.equal(code(await wrong.request(StunMethod.allocate, transport)), 401);
    const nobody = new TestClient(await world.socket(), world.listener, { username: 'nobody' });
    nobody.algorithm = 'sha256';
    nobody.isAnonymous = true;
    assert.equal(code(await nobody.request(StunMethod.allocate, transport)), 401);
    const old = new TestClient(await world.socket(), world.listener, { username: 'old' });
    old.password = 'battery staple';
    await old.allocate();
    const modern = new TestClient(await world.socket(), world.listener, { username: 'old' });
    modern.password = 'battery staple';
    modern.algorithm = 'sha256';
    assert.equal(code(await modern.request(StunMethod.allocate, transport)), 401, 'only its MD5 key is known');
  },
  { users: [STORED, MD5_ONLY] },
);

virtual(
  'with stored users alone the nonce demands USERHASH',
  async (world) => {
    const desk = new TestClient(await world.socket(), world.listener, { username: 'desk' });
    desk.password = 'correct horse';
    desk.algorithm = 'sha256';
    desk.isAnonymous = true;
    await desk.allocate();
    assert.match(desk.nonce, /^obMatJos2AAAD/);
  },
  { users: [STORED], secrets: [] },
);

virtual('another realm than ours is 401', async (world) => {
  const alice = await newClient(world);
  await alice.challenge();
  const request = alice.unsigned(StunMethod.allocate, (w) => {
    transport(w);
    w.text(StunAttribute.username, alice.username);
    w.text(StunAttribute.realm, 'elsewhere.example');
    w.text(StunAttribute.nonce, alice.nonce);
    w.integrity(alice.key, nodeCrypto);
  });
  assert.equal(code(await alice.exchange(request)), 401);
});

virtual(
  'attributes behind the integrity don’t exist: a LIFETIME appended on the way changes nothing',
  async (world) => {
    const alice = await newClient(world);
    await alice.allocate();
    const signed = alice.signed(StunMethod.refresh, (w) => w.u32(StunAttribute.lifetime, 900));
    const longer = new Uint8Array(signed.length + 8);
    longer.set(signed);
    longer.set([0, 0x0d, 0, 4, 0, 0, 0, 0], signed.length);
    longer[3] = longer.length - 20;
    // what a second LIFETIME in front would do is settled by the first one winning
    assert.equal((await alice.exchange(longer)).u32(StunAttribute.lifetime), 900);
    const unknown = longer.slice();
    unknown.set([0x7f, 0xfe], signed.length);
    assert.equal(code(await alice.exchange(unknown)), 0, 'nor is it 420');
  },
);
