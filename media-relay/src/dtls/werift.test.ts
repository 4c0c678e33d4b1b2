import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, test } from 'node:test';
import { monotonicMs } from '@offhook/core/node';
import {
  CipherContext,
  DtlsClient,
  DtlsServer,
  HashAlgorithm,
  keyLength,
  NamedCurveAlgorithm,
  RtpPacket,
  SignatureAlgorithm,
  SrtpSession,
  saltLength,
} from 'werift';
import { SrtpContext } from '../srtp/index.ts';
import { rtp } from '../test-kit.ts';
import { type DtlsCommand, DtlsEndpoint, liveDtlsEndpoints, makeCertificate, matchesFingerprint } from './index.ts';

// A DTLS and SRTP that share no code with OpenSSL.

const certificate = makeCertificate();
after(() => {
  certificate.close();
  assert.equal(liveDtlsEndpoints(), 0);
});

const HASH = { hash: HashAlgorithm.sha256_4, signature: SignatureAlgorithm.ecdsa_3 };

for (const role of ['client', 'server'] as const) {
  test(`werift shakes hands with our ${role}, has the same keys, and packets pass both ways; changed and repeated ones do not`, async () => {
    const ours = new DtlsEndpoint({ role, certificate });
    const address = { address: '127.0.0.1', port: 1, family: 'IPv4' };
    const connected = Promise.withResolvers<Extract<DtlsCommand, { kind: 'connected' }>>();
    const drain = () => {
      for (let c = ours.poll(); c; c = ours.poll())
        if (c.kind === 'send') transport.onData(Buffer.from(c.bytes), ['127.0.0.1', 1]);
        else if (c.kind === 'connected') connected.resolve(c);
        else connected.reject(new Error(c.kind === 'failed' ? c.reason : 'closed'));
    };
    const transport = {
      type: 'udp',
      address,
      closed: false,
      onData: (_data: Buffer, _address: readonly [string, number]) => {},
      send: async (data: Buffer) => {
        // As from a socket: not in the turn in which werift says it.
        setImmediate(() => {
          ours.handlePacket(data, monotonicMs());
          drain();
        });
      },
      close: async () => {},
    };
    const { certPem, keyPem } = await CipherContext.createSelfSignedCertificateWithKey(
      HASH,
      NamedCurveAlgorithm.secp256r1_23,
    );
    const Theirs = role === 'client' ? DtlsServer : DtlsClient;
    const theirs = new Theirs({
      transport,
      cert: certPem,
      key: keyPem,
      signatureHash: HASH,
      srtpProfiles: [7, 1],
      extendedMasterSecret: true,
      certificateRequest: true,
    });
    const theyConnected = new Promise((resolve) => theirs.onConnect.once(resolve));
    ours.handleStart(monotonicMs());
    if (theirs instanceof DtlsClient) await theirs.connect();
    drain();
    const [us] = await Promise.all([connected.promise, theyConnected]);
    assert.ok(us.extendedMasterSecret);
    const fingerprint = new X509Certificate(certPem).fingerprint256;
    assert.ok(matchesFingerprint(us.peerCertificate, `sha-256 ${fingerprint}`));

    const profile = theirs.srtp.srtpProfile!;
    const keys = theirs.extractSessionKeys(keyLength(profile), saltLength(profile));
    assert.deepEqual(
      [us.local.key, us.local.salt, us.remote.key, us.remote.salt].map((bytes) => Buffer.from(bytes)),
      [keys.remoteKey, keys.remoteSalt, keys.localKey, keys.localSalt],
    );
    const session = new SrtpSession({
      keys: {
        localMasterKey: keys.localKey,
        localMasterSalt: keys.localSalt,
        remoteMasterKey: keys.remoteKey,
        remoteMasterSalt: keys.remoteSalt,
      },
      profile,
    });
    const [tx, rx] = [new SrtpContext(us.local, 'protect'), new SrtpContext(us.remote, 'unprotect')];
    const opened = (wire: Uint8Array) => {
      const copy = wire.slice();
      const length = rx.unprotect(copy, 0, copy.length);
      return length < 0 ? undefined : copy.slice(0, length);
    };
    // werift follows the sequence numbers across their wrap, but no long gap there; that is for srtp.test.ts.
    for (const sequence of [65_534, 65_535, 0, 1]) {
      const packet = rtp({ ssrc: 7, sequence });
      const room = new Uint8Array(packet.length + 32);
      room.set(packet);
      const sealed = room.subarray(0, tx.protect(room, 0, packet.length));
      assert.deepEqual(Uint8Array.from(session.decrypt(Buffer.from(sealed))), packet.slice());

      const { header, payload } = RtpPacket.deSerialize(Buffer.from(packet));
      const wire = Uint8Array.from(session.encrypt(payload, header));
      const changed = wire.slice();
      changed[20]! ^= 1;
      assert.equal(opened(changed), undefined, 'changed on the way');
      assert.deepEqual(opened(wire), packet.slice());
      assert.equal(opened(wire), undefined, 'repeated');
    }
    for (const one of [tx, rx, ours]) one.close();
  });
}
