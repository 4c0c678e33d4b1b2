import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lacking } from './src/peers.ts';
import { PlainPhone } from './src/plain-phone.ts';
import { sipp } from './src/sipp.ts';
import { System, scratchFolder } from './src/system.ts';

const skip = lacking('svmap', 'svwar', 'svcrack', 'python3', 'sipp');

/** Where Debian's sipvicious 0.3.3 lies. */
const INSTALLED = '/usr/share/sipvicious/sipvicious';
const TOOL_MS = 60_000;

const folder = scratchFolder();
/** Weak, numeric, and on every list: what is to be found. */
const weak = { user: '101', password: '10000101' };
const owner = { user: 'owner', password: 'Trumpet-44-x' };
let system: System;

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  for (const { user, password } of [weak, owner]) await system.addUser(user, password);
  const others = (first: number, count: number) => Array.from({ length: count }, (_, i) => String(first + i));
  writeFileSync(
    join(folder.path, 'long'),
    `${[...others(20_000, 60), weak.password, ...others(30_000, 2000)].join('\n')}\n`,
  );
  writeFileSync(join(folder.path, 'passwords'), `${['1234', 'secret', weak.password, 'admin'].join('\n')}\n`);
});

after(async () => {
  await system?.stop();
  folder.remove();
});

interface Ban {
  readonly network: string;
  readonly why: string;
  readonly words: string;
}
const bans = async () => (await system.verb('signaling', 'bans')) as Ban[];

/** A copy of the tools in which these texts are others; it has a home of its own. */
function tools(name: string, changes: readonly (readonly [string, string])[]): string {
  const home = join(folder.path, name);
  mkdirSync(home);
  cpSync(INSTALLED, join(home, 'sipvicious'), { recursive: true });
  for (const file of ['svmap.py', 'svwar.py', 'svcrack.py', 'libs/svhelper.py']) {
    const path = join(home, 'sipvicious', file);
    let text = readFileSync(path, 'utf8');
    for (const [from, to] of changes) text = text.replaceAll(from, to);
    writeFileSync(path, text);
  }
  return home;
}

/** Runs one of the tools from that address; answers all that it says. */
function run(
  home: string,
  tool: 'svmap' | 'svwar' | 'svcrack',
  from: string,
  args: readonly string[],
): Promise<string> {
  const all = ['-x', from, '-P', '5600', '-p', String(system.ports.udp), ...args, '127.0.0.1'];
  // svwar and svcrack have no address of their own.
  const start = [
    'import socket',
    'bind = socket.socket.bind',
    `socket.socket.bind = lambda of, at: bind(of, ('${from}', at[1]))`,
    'settimeout = socket.socket.settimeout',
    'socket.socket.settimeout = lambda of, s: settimeout(of, min(s, 2))', // instead of ten seconds, for who is silent
    `from sipvicious.${tool} import main`,
    'main()',
  ].join('\n');
  return new Promise((resolve) => {
    execFile(
      'python3',
      ['-c', start, '-v', ...all],
      { env: { ...process.env, HOME: home, PYTHONPATH: home, PYTHONDONTWRITEBYTECODE: '1' }, timeout: TOOL_MS },
      (_error, stdout, stderr) => resolve(stdout + stderr),
    );
  });
}

const WAR = ['-e', '100-140', '--maximumtime', '2'];
const CRACK = ['-u', weak.user, '-d', '', '--maximumtime', '2'];
const crackArgs = () => CRACK.map((arg) => (arg === '' ? join(folder.path, 'passwords') : arg));

/** What each tool prints when it finds something. */
const FOUND = {
  svmap: /SIP Device|127\.0\.0\.1:\d+ *\|/,
  svwar: /\| *1\d\d *\||reqauth|noauth|weird/,
  svcrack: /10000101/,
} as const;

const MADE_UP: readonly [string, readonly (readonly [string, string])[]][] = [
  ['as they are', []],
  [
    'under the name of a phone and without the name of the tool',
    [
      ['friendly-scanner', 'Linphone/5.2.3'],
      ["fromname='sipvicious'", "fromname='Reception'"],
      ['default="sipvicious"', 'default="Reception"'],
      ['1.1.1.1', '10.20.30.40'],
      ['3206210844', '1206210841'],
    ],
  ],
];

test('the tools work: from this machine, which is never banned, svmap finds the server and svcrack a weak password', {
  skip,
}, async () => {
  const home = tools('working', []);
  const [map, crack] = await Promise.all([
    run(home, 'svmap', '127.0.0.1', []),
    run(home, 'svcrack', '127.0.0.1', crackArgs()),
  ]);
  assert.match(map, FOUND.svmap);
  assert.match(crack, FOUND.svcrack);
  assert.deepEqual(await bans(), []);
});

test('svmap, svwar and svcrack, whatever they call themselves, get nothing at all, and each is banned', {
  skip,
}, async () => {
  const args = { svmap: [], svwar: [...WAR, '--force'], svcrack: crackArgs() };
  for (const [i, [how, changes]] of MADE_UP.entries()) {
    const home = tools(`tools-${i}`, changes);
    await Promise.all(
      (['svmap', 'svwar', 'svcrack'] as const).map(async (tool, k) => {
        const from = `127.0.${i + 1}.${k + 1}`;
        const output = await run(home, tool, from, args[tool]);
        assert.doesNotMatch(output, FOUND[tool], `${tool} ${how}`);
        assert.equal(
          (await bans()).find(({ network }) => network === from)?.why,
          'scanner',
          `${tool} ${how}: ${output}`,
        );
      }),
    );
  }
});

/** Nothing is left by which they could be known: their tags look like others, and still serve them. */
const DISGUISED: readonly (readonly [string, string])[] = [
  ...MADE_UP[1]![1],
  ["b'\\x01'", "b'\\x02'"],
  // nor do they give up where the others do
  ['self.log.debug(buff.__repr__())\n            self.nomore = True', 'pass'],
  ['self.log.debug("Bad user: %s" % self.BADUSER.__repr__())\n            self.nomore = True', 'pass'],
];

test('tools that nothing tells from a phone find no extension and no password, and are banned for what they do', {
  skip,
}, async () => {
  const home = tools('disguised', DISGUISED);
  const [war, polite, crack] = await Promise.all([
    // more than get an answer within the five seconds after which few unanswered challenges are too many
    run(home, 'svwar', '127.0.9.2', ['-e', '1000-2400', '--force', '--maximumtime', '2']),
    run(home, 'svwar', '127.0.9.4', WAR),
    run(home, 'svcrack', '127.0.9.3', ['-u', weak.user, '-d', join(folder.path, 'long'), '--maximumtime', '2']),
  ]);
  assert.doesNotMatch(war, FOUND.svwar);
  assert.doesNotMatch(polite, FOUND.svwar);
  assert.match(polite, /authentication request for an unknown extension/, 'it was answered like anybody');
  assert.doesNotMatch(crack, /101 *\| *10000101|password for 101/, crack);
  const banned = await bans();
  const ofWar = banned.find(({ network }) => network === '127.0.9.2');
  assert.equal(ofWar?.why, 'accounts', war);
  assert.match(ofWar!.words, /^it asked for \d+ accounts and signed in to none$/);
  const ofCrack = banned.find(({ network }) => network === '127.0.9.3');
  assert.equal(ofCrack?.why, 'passwords', crack);
  assert.match(system.log('signaling'), /127\.0\.9\.2 is banned for 10 min over UDP: it asked for \d+ accounts/);
});

test('where a phone is signed in a scan gets nothing either, and the phone goes on', { skip }, async () => {
  const from = '127.0.0.50';
  const register = async () => {
    const run = await sipp({
      ...{ folder: folder.path, server: `127.0.0.1:${system.ports.udp}`, domain: system.domain, ...owner, from },
      scenario: 'register.xml',
      replace: { EXPIRES: '60', EXPECTED: '200' },
      calls: 1,
    });
    assert.equal(run.failed, 0, run.output);
  };
  await register();
  assert.doesNotMatch(await run(tools('neighbour', []), 'svmap', from, []), FOUND.svmap);
  await register();
  assert.equal(
    (await bans()).find(({ network }) => network === from),
    undefined,
  );
});

test('a phone on this machine notices nothing of all that, and calls', { skip }, async () => {
  const phone = await PlainPhone.open(system, owner);
  try {
    await phone.call('600');
    await phone.hangUp();
  } finally {
    await phone.close();
  }
  const figures = await system.metrics('signaling');
  assert.ok(figures.sip_bans_active! >= 8, `${figures.sip_bans_active}`);
  assert.equal(figures['sip_bans_total{why="scanner"}'], 6);
  assert.ok(figures.sip_banned_dropped_total! >= 6);
});
