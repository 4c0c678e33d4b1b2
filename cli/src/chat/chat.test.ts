import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createRequest, utf8 } from '@offhook/core';
import { RunningChat } from './testing/running-chat.ts';
import { DOMAIN, ON_THE_PHONE } from './testing/scripted-server.ts';
import { ServerSockets } from './testing/server-sockets.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-chat-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const home = () => mkdtempSync(join(folder, 'home-'));
const LONG = { timeout: 240_000 };

function certificate(): { key: string; cert: string; path: string } {
  const [key, path] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = `subjectAltName=DNS:${DOMAIN}`;
  const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...how, '-subj', '/CN=test', '-addext', names, '-keyout', key, '-out', path], {
    stdio: 'ignore',
  });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(path, 'utf8'), path };
}

for (const transport of ['udp', 'tcp', 'tls'] as const)
  test(
    `two terminals write to each other over ${transport}, see each other come and go, and keep what was written`,
    LONG,
    async () => {
      const tls = certificate();
      await using sockets = await ServerSockets.open(tls);
      const server = `127.0.0.1:${sockets.ports[transport]}`;
      const args = ['--transport', transport, ...(transport === 'tls' ? ['--ca', tls.path] : [])];
      const [aliceHome, bobHome] = [home(), home()];
      await using alice = new RunningChat({ user: 'alice', server, folder: aliceHome, args: [...args, '--to', 'bob'] });
      await alice.says(/signed in as alice@example\.test at 127\.0\.0\.1:\d+ \(\w+\)\n/);
      await alice.says(/bob is offline\n/);
      await using bob = new RunningChat({ user: 'bob', server, folder: bobHome, args });
      await alice.says(/bob is available\n/);
      alice.type('hello bob\\\nand a second line\n');
      await bob.says(/^\d\d:\d\d alice: hello bob\n {6}and a second line\n/m);
      await alice.says(/delivered to bob: hello bob and a second line\n/);
      bob.type('hello alice\n'); // to whom it wrote last
      await alice.says(/\d\d:\d\d bob: hello alice\n/);
      bob.type('/status busy in the cellar\n');
      await alice.says(/bob is busy: in the cellar\n/);
      sockets.server.notifyAll('bob', ON_THE_PHONE);
      await alice.says(/bob is on the phone\n/);
      bob.type('/quit\n');
      assert.equal(await bob.ended, 0);
      await alice.says(/bob is offline\n[\s\S]*/, alice.output.lastIndexOf('on the phone'));
      alice.type('for later\n');
      await alice.says(/stored: bob gets it when back: for later\n/);
      await using again = new RunningChat({ user: 'bob', server, folder: bobHome, args });
      await again.says(/alice: for later\n/);
      await alice.says(/delivered to bob: for later\n/);
      again.type('/history alice\n');
      await again.says(
        /alice: hello bob\n {6}and a second line\n[\s\S]*→ alice: hello alice\n[\s\S]*alice: for later\n/,
      );
      alice.type('/nonsense\n');
      await alice.says(/\* \/nonsense is no command; \/help names them/);
      alice.end();
      again.end();
      assert.equal(await again.ended, 0);
      assert.equal(await alice.ended, 1, 'a script has made a mistake');
      assert.equal(sockets.server.contacts.size, 0);
      assert.equal(sockets.server.published.size, 0);
      const kept = join(aliceHome, 'offhook/chat/alice@example.test');
      assert.equal(statSync(join(kept, 'history')).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(kept).sort(), ['history', 'instance']);
      const instances = sockets.server.of('REGISTER').map((one) => /urn:uuid:[\w-]+/.exec(one.header('contact')!)![0]);
      assert.equal(new Set(instances).size, 2, 'bob is the same phone at his second start');
    },
  );

test(
  'a script: its lines are sent, it ends when all is known, and --json tells each thing in one line',
  LONG,
  async () => {
    await using sockets = await ServerSockets.open();
    const server = `127.0.0.1:${sockets.ports.udp}`;
    await using bob = new RunningChat({ user: 'bob', server, folder: home(), args: ['--json'] });
    await bob.says(/"registered":true/);
    await using alice = new RunningChat({ user: 'alice', server, folder: home(), args: ['--json', '--to', 'bob'] });
    const texts = Array.from({ length: 120 }, (_, i) => `line ${i}`);
    alice.type(`${texts.join('\n')}\n//not a command\n`);
    alice.end();
    assert.equal(await alice.ended, 0, alice.output);
    const lines = alice.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(lines.filter(({ kind, state }) => kind === 'delivery' && state === 'delivered').length, 121);
    assert.ok(lines.every(({ at }) => typeof at === 'string'));
    await bob.says(/"text":"\/not a command"/);
    const got = bob.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      got.filter(({ kind }) => kind === 'text').map(({ text }) => text),
      [...texts, '/not a command'],
    );
    bob.signal('SIGTERM');
    assert.equal(await bob.ended, 0);
    assert.equal(sockets.server.contacts.size, 0);
  },
);

test(
  'what cannot work is said in words, exit code 1: a wrong password, a server that is not there, a certificate by nobody',
  LONG,
  async () => {
    const tls = certificate();
    await using sockets = await ServerSockets.open(tls);
    const cases: readonly [string, readonly string[], RegExp, string?][] = [
      [`127.0.0.1:${sockets.ports.udp}`, [], /not signed in: the server refuses the password; look at /, 'wrong-wrong'],
      ['127.0.0.1:9', [], /not signed in: nobody listens at 127\.0\.0\.1:9 \(udp\)\n/],
      ['127.0.0.1:9', ['--transport', 'tcp'], /not signed in: nobody listens at 127\.0\.0\.1:9 \(tcp\)\n/],
      [
        `127.0.0.1:${sockets.ports.tls}`,
        ['--transport', 'tls'],
        /not signed in: the certificate of .* --ca names the CA's file/,
      ],
      [
        `127.0.0.1:${sockets.ports.tcp}`,
        ['--transport', 'tls'],
        /not signed in: 127\.0\.0\.1:\d+ (?:does not speak TLS|has cut the connection)\n/,
      ],
      ['no-such-host.invalid', [], /not signed in: there is no address for no-such-host\.invalid/],
    ];
    for (const [server, args, words, password] of cases) {
      await using chat = new RunningChat({ user: 'alice', server, folder: home(), args, password });
      if (server.endsWith(`:${sockets.ports.tcp}`)) {
        sockets.server.loses = () => true;
        setTimeout(() => sockets.cut(), 1000);
      }
      assert.equal(await chat.ended, 1, chat.output);
      assert.match(chat.output, words);
      assert.doesNotMatch(chat.output + chat.errors, /\n\s+at /);
    }
  },
);

test(
  'a text from the server’s port is shown without what would touch the terminal; a stranger’s is not shown',
  LONG,
  async () => {
    await using sockets = await ServerSockets.open();
    const { server } = sockets;
    await using alice = new RunningChat({ user: 'alice', server: `127.0.0.1:${sockets.ports.udp}`, folder: home() });
    await alice.says(/signed in/);
    const port = Number(/:(\d+)>/.exec(server.contacts.get('alice')!.contact)![1]);
    const stranger = createRequest({
      method: 'MESSAGE',
      uri: `sip:alice@127.0.0.1:${port}`,
      from: `<sip:bob@${DOMAIN}>;tag=1`,
      to: `<sip:alice@${DOMAIN}>`,
      callId: 'stranger',
      cseq: 1,
      headers: [['Via', 'SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx']],
      body: { type: 'text/plain', bytes: 'trust me' },
    });
    await sockets.stranger(port, stranger.serialize());
    await sockets.stranger(port, utf8('not SIP'));
    const bytes = 'a\u001b[2J\u009b31m\u0007\u202egnp.exe\n20:00 carol: forged';
    server.request('alice', 'MESSAGE', { from: `<sip:bob@${DOMAIN}>;tag=1`, body: { type: 'text/plain', bytes } });
    await alice.says(/\d\d:\d\d bob: a\ufffd\[2J\ufffd31m\ufffd\ufffdgnp\.exe\n {6}20:00 carol: forged\n/);
    assert.doesNotMatch(alice.output, /trust me/);
    server.request('alice', 'MESSAGE', {
      from: `<sip:bob@${DOMAIN}>;tag=1`,
      headers: [['Date', 'Mon, 23 Nov 2026 10:00:00 GMT']],
      body: { type: 'text/plain', bytes: 'of Monday' },
    });
    await alice.says(/\d\d:\d\d \(sent 2026-11-23 \d\d:00\) bob: of Monday\n/);
  },
);

test('a connection that breaks is told and made anew', LONG, async () => {
  await using sockets = await ServerSockets.open();
  const server = `127.0.0.1:${sockets.ports.tcp}`;
  await using alice = new RunningChat({ user: 'alice', server, folder: home(), args: ['--transport', 'tcp'] });
  await alice.says(/signed in as/);
  sockets.cut();
  await alice.says(/connection lost: .*; trying again in 1 s\n[\s\S]*signed in again as alice@example\.test/);
});

const hasScript = spawnSync('script', ['--version']).status === 0;

test('in a terminal, what comes in does not tear the line that is being typed; the history has it afterwards', {
  ...LONG,
  skip: !hasScript && 'not installed: script',
}, async () => {
  await using sockets = await ServerSockets.open();
  const { server } = sockets;
  const options = { user: 'alice', server: `127.0.0.1:${sockets.ports.udp}`, folder: home() };
  await using alice = new RunningChat({ ...options, args: ['--to', 'bob'], isTerminal: true });
  await alice.says(/signed in as/);
  await alice.says(/bob is offline/);
  // longer than one row of 80 columns
  const begun = `a line that is ${'long '.repeat(16)}and`;
  alice.type(begun);
  await alice.says(/long and$/);
  const from = alice.output.length;
  const esc = String.fromCharCode(27);
  // the second time readline believes to stand on the second row, too
  for (const bytes of ['may I interrupt', 'may I again']) {
    server.request('alice', 'MESSAGE', { from: `<sip:carol@${DOMAIN}>;tag=1`, body: { type: 'text/plain', bytes } });
    // up to the first row of what was typed, cleared, the text on a row of its own, and what was typed once more below it: not
    // a row further up again, that would write over it
    const above = `${esc}\\[1A${esc}\\[1G${esc}\\[0J\\d\\d:\\d\\d carol: ${bytes}\\r\\n`;
    await alice.says(new RegExp(`${above}(?:${esc}\\[(?:1G|0J))*bob> a line that is [\\s\\S]*long and`), from);
  }
  alice.type(' whole\r');
  await alice.says(/stored: bob gets it when back: a line that is/, from);
  assert.equal(server.of('MESSAGE').at(-1)!.bodyText, `${begun} whole`);
  alice.type('/to carol\r');
  await alice.says(/carol> /);
  alice.type('\u001b[A\u001b[A'); // twice up: the command, then the text
  await alice.says(/carol> a line that is/);
  alice.type('\u0003');
  await alice.says(/\^C/);
  alice.type('\u0004');
  assert.equal(await alice.ended, 0, alice.output);
  await using again = new RunningChat({ ...options, isTerminal: true });
  await again.says(/signed in as/);
  again.type('\u001b[A');
  await again.says(/> a line that is/);
  again.type('\u0003');
  again.type('\u0003');
  assert.equal(await again.ended, 0, again.output);
});

test('the password is asked for without echo, or read from a file that is better kept secret', {
  ...LONG,
  skip: !hasScript && 'not installed: script',
}, async () => {
  await using sockets = await ServerSockets.open();
  const options = { user: 'alice', server: `127.0.0.1:${sockets.ports.udp}` };
  await using asked = new RunningChat({ ...options, folder: home(), password: '', isTerminal: true });
  await asked.says(/Password of alice@example\.test: $/);
  asked.type('correct-Horse-7x\u007f\r');
  await asked.says(/signed in as/);
  assert.doesNotMatch(asked.output, /Horse/);
  const file = join(folder, 'password');
  writeFileSync(file, 'correct-Horse-7\n');
  chmodSync(file, 0o644);
  const args = ['--password-file', file];
  await using read = new RunningChat({ ...options, user: 'bob', folder: home(), args, password: '' });
  await read.says(/signed in as/);
  assert.match(read.errors, /others can read .*password: chmod 600 /);
  await using none = new RunningChat({ ...options, folder: home(), password: '' });
  assert.equal(await none.ended, 2);
  assert.match(none.errors, /It is read from --password-file or from OFFHOOK_PASSWORD/);
});

test('echo is off before anything else is loaded, unless the password is given', {
  skip: !hasScript && 'not installed: script',
}, () => {
  const first = join(import.meta.dirname, 'no-echo.ts');
  const code = `require('node:child_process').spawnSync('stty', ['-a'], { stdio: 'inherit' })`;
  const shown = (password: string) => {
    const line = `"${process.execPath}" --import "${first}" -e "${code}" chat alice`;
    const env = { ...process.env, OFFHOOK_PASSWORD: password };
    return spawnSync('script', ['-qefc', line, '/dev/null'], { encoding: 'utf8', env, timeout: 60_000 }).stdout;
  };
  assert.match(shown(''), / -echo /);
  assert.match(shown('given'), / echo /);
});

test('a script that names nobody is a mistake at once; /to as its first line names somebody', LONG, async () => {
  await using sockets = await ServerSockets.open();
  const server = `127.0.0.1:${sockets.ports.udp}`;
  await using none = new RunningChat({ user: 'alice', server, folder: home() });
  none.type('x\n');
  none.end();
  assert.equal(await none.ended, 2);
  assert.match(none.errors, /to whom\? .* chat alice@example\.test --to bob, or '\/to bob' as the first line\n/);
  assert.equal(sockets.server.requests.length, 0);
  await using named = new RunningChat({ user: 'alice', server, folder: home() });
  named.type('/to bob\nx\n');
  named.end();
  assert.equal(await named.ended, 0, named.output);
  assert.match(named.output, /stored: bob gets it when back: x\n$/);
  assert.doesNotMatch(named.output, /waiting/);
  assert.equal(sockets.server.published.size, 0);
});

test(
  'whom the server does not know is said at once, and neither followed nor offered the next time',
  LONG,
  async () => {
    await using sockets = await ServerSockets.open();
    const { server } = sockets;
    const answer = { status: 404, headers: [['Reason', 'SIP;cause=404;text="there is no user \'bobb\'"']] as const };
    for (const method of ['SUBSCRIBE', 'MESSAGE']) server.answers.set(method, answer);
    const options = { user: 'alice', server: `127.0.0.1:${sockets.ports.udp}`, folder: home() };
    await using alice = new RunningChat(options);
    await alice.says(/signed in/);
    alice.type('/to bobb\n');
    await alice.says(/\d\d:\d\d there is no user bobb\n/);
    alice.type('x\n');
    await alice.says(/failed: there is no user 'bobb': x\n/);
    alice.end();
    assert.equal(await alice.ended, 1);
    await using again = new RunningChat(options);
    await again.says(/signed in/);
    again.type('/who\n');
    await again.says(/nobody is followed yet/);
    again.type('/forget bobb\n');
    await again.says(/\* bobb is forgotten, with one text\n/);
    again.type('/history\n');
    await again.says(/nothing was written yet/);
  },
);

test('while the server is away each try is said, and /who says what was', LONG, async () => {
  await using sockets = await ServerSockets.open();
  const server = `127.0.0.1:${sockets.ports.tcp}`;
  const args = ['--transport', 'tcp', '--to', 'bob'];
  await using alice = new RunningChat({ user: 'alice', server, folder: home(), args });
  await alice.says(/bob is offline\n/);
  await sockets[Symbol.asyncDispose]();
  await alice.says(
    /connection lost: .*; trying again in 1 s\n\* still no connection: .*; trying again in 2 s\n\* still no connection: /,
  );
  alice.type('/who\nhello\n');
  await alice.says(/\* not connected; when last seen:\n\d\d:\d\d bob was offline\n/);
  await alice.says(/waiting until the server is there: hello\n/);
});
