import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { base64url, utf8 } from '@offhook/core';
import type { JwtAlgorithm } from './index.ts';

/** Somebody who issues tokens, with a key pair of its own. */
export function issuer(algorithm: JwtAlgorithm) {
  const { publicKey, privateKey } = pair(algorithm);
  const signed = (data: Uint8Array): Uint8Array =>
    algorithm === 'EdDSA'
      ? sign(null, data, privateKey)
      : sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return {
    algorithm,
    /** As it stands in the issuer's JWK Set. */
    jwk: { ...publicKey.export({ format: 'jwk' }), kid: `key-of-${algorithm}`, use: 'sig' },
    sign: signed,
    token: (claims: object, header: object = {}): string => {
      const head = { alg: algorithm, kid: `key-of-${algorithm}`, typ: 'JWT', ...header };
      const data = [head, claims].map((part) => base64url(utf8(JSON.stringify(part)))).join('.');
      return `${data}.${base64url(signed(utf8(data)))}`;
    },
  };
}

function pair(algorithm: JwtAlgorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
}
