import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Login } from './login.ts';
import { ApiError, type Session } from './session.ts';
import type { ProbeResult } from './ua/link.ts';
import type { Message } from './ua/messages.ts';

const of = (user: string): Session => ({
  session: `${user}-1`,
  expiresAtMs: 0,
  user,
  displayName: user.toUpperCase(),
  domain: 'offhook.local',
});

interface Scene {
  readonly own?: Session;
  readonly last?: Session;
  readonly current?: Session;
  readonly useless?: boolean;
  readonly probe?: ProbeResult;
}

/** Tokens are user names here, once each; everything that happens is a line of `seen`. */
const scene = ({ own, last, current, useless = false, probe = 'ok' }: Scene = {}) => {
  const seen: string[] = [];
  const used = new Set<string>();
  const said: (Message | undefined)[] = [];
  const login = new Login({
    account: {
      stored: () => own,
      last: () => last,
      login: async (credentials) => {
        const user = 'token' in credentials ? credentials.token : credentials.user;
        if (used.has(user)) throw new ApiError(401, '', '');
        used.add(user);
        return of(user);
      },
      logout: async ({ user }) => void seen.push(`logout ${user}`),
      probe: async () => probe,
      drop: ({ user }) => void seen.push(`drop ${user}`),
    },
    current: () => current,
    useless: () => useless,
    enter: async ({ user }) => void seen.push(`enter ${user}`),
    showForm: () => void seen.push('form'),
    tell: (message) => void said.push(message),
  });
  return { login, seen, said, used };
};

test('a link signs in, whatever this browser remembers', async () => {
  const { login, seen } = scene({ last: of('bob') });
  await login.start('alice');
  assert.deepEqual(seen, ['enter alice']);
});

test('a tab without a link carries on: its own session first, then the last one of the browser', async () => {
  const cases: [Scene, string[]][] = [
    [{ own: of('alice'), last: of('bob') }, ['enter alice']],
    [{ last: of('bob') }, ['enter bob']],
    [{ last: of('bob'), probe: 'unreachable' }, ['enter bob']],
    [{ last: of('bob'), probe: 'expired' }, ['drop bob', 'form']],
    [{}, ['form']],
  ];
  for (const [given, expected] of cases) {
    const { login, seen } = scene(given);
    await login.start(undefined);
    assert.deepEqual(seen, expected);
  }
});

test('a dead link shows the form in words, or leaves whom the browser remembers signed in', async () => {
  const stranger = scene();
  stranger.used.add('alice');
  await stranger.login.start('alice');
  assert.deepEqual(stranger.seen, ['form']);
  assert.match(stranger.said.at(-1)!.detail!, /npx offhook link/);

  const known = scene({ last: of('bob') });
  known.used.add('alice');
  await known.login.start('alice');
  assert.deepEqual(known.seen, ['enter bob']);
  assert.equal(known.said.at(-1)!.title, 'You are still signed in as BOB');
});

test('a link of another account in a signed-in tab is a question', async () => {
  const { login, seen } = scene({ current: of('bob') });
  await login.open('alice');
  assert.equal(login.offer.value?.user, 'alice');
  assert.deepEqual(seen, []);
  await login.changeOver();
  assert.equal(login.offer.value, undefined);
  assert.deepEqual(seen, ['enter alice']);
});

test('a question answered with no ends the session that nobody wants', async () => {
  const { login, seen } = scene({ current: of('bob') });
  await login.open('alice');
  login.dropOffer();
  login.dropOffer();
  assert.deepEqual(seen, ['logout alice']);
});

test('a link of the same account changes nothing', async () => {
  const { login, seen, said } = scene({ current: of('bob') });
  await login.open('bob');
  assert.deepEqual(seen, ['logout bob']);
  assert.equal(said.at(-1)!.title, 'You are signed in as BOB already');
});

test('a page without a microphone does not waste a link', async () => {
  const { login, seen, used } = scene({ useless: true });
  await login.start('alice');
  assert.deepEqual(seen, ['form']);
  assert.equal(login.held.value, 'alice');
  assert.equal(used.size, 0);
});

test('an empty form is told so without asking the server', async () => {
  const { login, said, used } = scene();
  await login.signIn({ user: '', password: 'x' });
  assert.equal(said.at(-1)!.title, 'Enter your user name and password');
  assert.equal(used.size, 0);
});
