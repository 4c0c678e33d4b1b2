import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CertificateError, outOfDate, ownCertificate, readCredentials, timeLeft } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'oh-tls-'));
after(() => rmSync(root, { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 10, 1);
const NAMES = ['offhook.local', '127.0.0.1', '::1', 'vm', '192.0.2.2', '2001:db8::7'];
let folders = 0;
const fresh = () => join(root, `own${folders++}`);

test('a first start makes a CA and a certificate with all names, P-256 and SHA-256; OpenSSL finds them in order', () => {
  const folder = fresh();
  const own = ownCertificate({ folder, names: NAMES, nowMs: Date.now() });
  assert.deepEqual(own.made, ['a CA', 'a certificate (there is none)']);
  assert.deepEqual(own.facts.names, ['localhost', ...NAMES]);
  assert.match(own.facts.signedBy, /^Offhook CA of /);
  assert.equal(own.facts.daysLeft, 395);
  const server = new X509Certificate(own.cert);
  const ca = new X509Certificate(readFileSync(own.caPath));
  assert.ok(server.verify(ca.publicKey) && server.checkIssued(ca) && ca.ca && !server.ca);
  assert.equal(server.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  assert.equal(server.signatureAlgorithm, 'ecdsa-with-SHA256');
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const days = (c: X509Certificate) => (c.validToDate.getTime() - c.validFromDate.getTime()) / DAY_MS;
  assert.equal(days(server), 397);
  assert.ok(days(ca) >= 3652);
  for (const name of ['ca.key', 'server.key']) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', own.caPath];
  assert.match(execFileSync('openssl', [...verify, join(folder, 'server.pem')], { encoding: 'utf8' }), /: OK/);
});

test('it is kept while it is good, and made anew when it ends or a name is new; the CA stays', () => {
  const folder = fresh();
  const at = (days: number, names = NAMES) => ownCertificate({ folder, names, nowMs: NOW_MS + days * DAY_MS });
  const first = at(0);
  const ca = readFileSync(first.caPath, 'utf8');
  assert.deepEqual(at(0).made, []);
  assert.equal(at(365).cert, first.cert, '31 days left');
  assert.equal(at(10, NAMES.slice(1)).cert, first.cert, 'a name less is no reason');
  assert.deepEqual(at(367).made, ['a certificate (the old one ends)']);
  assert.deepEqual(at(368, [...NAMES, '198.51.100.9']).made, ['a certificate (the old one lacks 198.51.100.9)']);
  assert.equal(readFileSync(first.caPath, 'utf8'), ca);
  const last = at(3600);
  assert.ok(new X509Certificate(last.cert).validToDate <= new X509Certificate(ca).validToDate, 'never beyond its CA');
  assert.deepEqual(at(-3000).made, [], 'a clock that stands in the past makes nothing new');
  assert.match(at(3640).made[0]!, /a new CA/);
  assert.equal(readFileSync(join(folder, 'ca.old.pem'), 'utf8'), ca);
});

test('a server key of another certificate is replaced; a CA without its key is an error in words, not a new CA', () => {
  const folder = fresh();
  const other = ownCertificate({ folder: fresh(), names: [], nowMs: NOW_MS });
  ownCertificate({ folder, names: NAMES, nowMs: NOW_MS });
  writeFileSync(join(folder, 'server.key'), other.key);
  assert.deepEqual(ownCertificate({ folder, names: NAMES, nowMs: NOW_MS }).made, ['a certificate (there is none)']);
  writeFileSync(join(folder, 'ca.key'), other.key);
  assert.throws(
    () => ownCertificate({ folder, names: NAMES, nowMs: NOW_MS }),
    (error) =>
      error instanceof CertificateError &&
      /ca\.key is missing, damaged, or not the key of .*ca\.pem/.test(error.message),
  );
});

test('names that can’t stand in a certificate are left out, so that no name can add another', () => {
  const names = ['a,IP:8.8.8.8', 'fe80::1%eth0', '', 'x'.repeat(300), 'a..b', 'good.example', 'GOOD.example'];
  assert.deepEqual(ownCertificate({ folder: fresh(), names, nowMs: NOW_MS }).facts.names, [
    'localhost',
    'good.example',
  ]);
});

test('files of the user: what is wrong with them is said in words', () => {
  const folder = fresh();
  const own = ownCertificate({ folder, names: NAMES, nowMs: Date.now() });
  const other = ownCertificate({ folder: fresh(), names: [], nowMs: Date.now() });
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const cert = join(folder, 'server.pem');
  const key = join(folder, 'server.key');
  const good = readCredentials({ cert, key, clientCa: own.caPath }, Date.now());
  assert.equal(good.facts.daysLeft, 395);
  const refused = (files: { cert?: string; key?: string; clientCa?: string }, words: RegExp) =>
    assert.throws(
      () => readCredentials({ cert, key, ...files }, Date.now()),
      (error) => (error instanceof CertificateError && words.test(error.message)) || assert.fail(String(error)),
    );
  refused({ cert: join(folder, 'missing.pem') }, /missing\.pem: there is no such file \(a certificate is wanted\)/);
  refused({ cert: key }, /server\.key: this is no certificate in PEM \(it holds a private key\)/);
  refused({ key: cert }, /server\.pem: this is no private key in PEM \(it holds a certificate\)/);
  refused({ cert: file('x.pem', 'hello') }, /no certificate in PEM \(no line -----BEGIN/);
  refused({ key: file('o.key', other.key) }, /o\.key is not the key of .*server\.pem/);
  const ca = readFileSync(own.caPath, 'utf8');
  refused({ cert: file('chain.pem', ca + own.cert) }, /own certificate has to come first/);
  refused({ cert: file('cut.pem', own.cert.slice(0, 200)) }, /the certificate is damaged \(its end is missing/);
  refused({ cert: file('bad.pem', own.cert.replace(/\n./, '\n!')) }, /the certificate is damaged/);
  refused({ key: file('bad.key', own.key.replace(/\nM/, '\nX')) }, /the private key is damaged/);
  refused({ clientCa: file('ca.txt', 'none') }, /ca\.txt: this is no certificate in PEM/);
  const encrypted = ['pkcs8', '-topk8', '-in', key, '-passout', 'pass:secret', '-out', join(folder, 'e.key')];
  execFileSync('openssl', encrypted);
  refused({ key: join(folder, 'e.key') }, /e\.key: the private key is encrypted/);
  const expired = new X509Certificate(ownCertificate({ folder: fresh(), names: [], nowMs: Date.UTC(2020, 0, 1) }).cert);
  assert.equal(outOfDate(expired, Date.now()), 'it has expired on 2021-01-31');
  assert.match(outOfDate(expired, Date.UTC(2019, 0, 1))!, /not good before 2019-12-31/);
  assert.equal(outOfDate(new X509Certificate(own.cert), Date.now()), undefined);
});

test('how long a certificate is good yet: days, hours in its last day', () => {
  const words = (leftMs: number) => timeLeft({ until: new Date(NOW_MS + leftMs).toISOString() }, NOW_MS);
  assert.deepEqual([395.9 * DAY_MS, DAY_MS, DAY_MS - 1000, DAY_MS - 120_000, DAY_MS / 24, 60_000, -1].map(words), [
    '395 days left',
    '1 day left',
    '1 day left',
    '23 h left',
    '1 h left',
    'less than an hour left',
    'has expired',
  ]);
});
