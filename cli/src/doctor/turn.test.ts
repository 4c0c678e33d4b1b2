import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Config, configProblems } from '../config/config.ts';
import { turnFindings, turnPortFindings, turnRemedy } from './turn.ts';

function config(settings: Record<string, unknown>): Config {
  const filled = structuredClone(settings);
  assert.deepEqual(configProblems(filled), []);
  return filled as unknown as Config;
}

test('public on private addresses only: the address outside is missed', () => {
  const [finding] = turnFindings(config({ public: true }), ['10.0.0.5', '172.17.0.1']);
  assert.match(finding!.words, /told as 10\.0\.0\.5 or 172\.17\.0\.1, which nobody outside/);
  const content: [Record<string, unknown>, string[]][] = [
    [{}, ['10.0.0.5']],
    [{ public: true }, ['10.0.0.5', '11.0.0.1']],
    [{ public: true, turn: { external: '11.0.0.1' } }, ['10.0.0.5']],
    [{ public: true, turn: { enabled: false } }, ['10.0.0.5']],
    [{ public: true }, []],
  ];
  for (const [settings, own] of content) assert.deepEqual(turnFindings(config(settings), own), []);
});

test('what is set and has no effect is told', () => {
  const of = (settings: Record<string, unknown>) =>
    turnFindings(config(settings), ['10.0.0.5']).map(({ state, words }) => `${state}: ${words}`);
  const external = { '10.0.0.6': '11.0.0.1' };
  assert.deepEqual(of({ public: true, turn: { external } }), [
    'bad: turn.external names 10.0.0.6, no address of this host (it has 10.0.0.5)',
  ]);
  assert.deepEqual(of({ public: true, turn: { external: { '10.0.0.5': '11.0.0.1' } } }), []);
  assert.deepEqual(of({ turn: { external: '11.0.0.1' } }), [
    'note: turn.external is set, and only this host is listened to',
  ]);
  const rtpPorts = { min: 44_000, max: 44_999 };
  const overlap = { media: { rtpPorts }, turn: { relayPorts: { min: 40_000, max: 44_000 } } };
  assert.deepEqual(of(overlap), ['note: turn.relayPorts 40000–44000 and media.rtpPorts 44000–44999 overlap']);
  assert.deepEqual(of({ ...overlap, media: { rtpPorts, path: 'none' } }), []);
});

test('fewer ports than allocations are told', () => {
  const few = { turn: { relayPorts: { min: 50000, max: 50099 } } };
  assert.match(turnFindings(config(few), [])[0]!.words, /has 100 ports, and turn\.limits\.allocations lets 4000/);
  const any = { turn: { relayPorts: { min: 0, max: 0 } } };
  assert.deepEqual(turnFindings(config(any), []), []);
});

test('a port that somebody else has is told, and coturn by its name', () => {
  const found = turnPortFindings(config({}), { udp: 3479, tcp: 3478, tls: 5349 });
  assert.deepEqual(
    found.map(({ what }) => what),
    ['TURN over UDP'],
  );
  assert.match(found[0]!.words, /uses port 3479, because 3478 /);
  assert.match(turnRemedy('turnserver (pid 7)'), /that is coturn.*systemctl disable --now coturn/);
  assert.match(turnRemedy(undefined), /end that program/);
});
