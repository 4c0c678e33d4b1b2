import type { Crypto } from '@offhook/core';
import { type LongTermUser, longTermUser } from '../auth/long-term-users.ts';
import { writeUsers } from '../auth/users-file.ts';
import type { CoturnUser } from './settings.ts';

/** A users file of those that stand in a coturn.conf. A key there is MD5's, so SHA-256 is not to be had with it. */
export function writeCoturnUsers(path: string, realm: string, users: readonly CoturnUser[], crypto: Crypto): void {
  const kept = users.map(
    (user): LongTermUser =>
      'key' in user ? { name: user.name, md5: user.key } : longTermUser(user.name, realm, user.password, crypto),
  );
  writeUsers(path, realm, kept);
}
