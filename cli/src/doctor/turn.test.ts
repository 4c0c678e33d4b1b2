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
