import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChatTerminal } from './src/chat-terminal.ts';
import { Kamailio, MODULES } from './src/kamailio.ts';
import { lacking } from './src/peers.ts';
import { scratchFolder } from './src/system.ts';

const skip = lacking('kamailio');
const DOMAIN = 'texts.example';
const PASSWORD = 'correct-Horse-7';
const NEEDED = 'kex tm tmx sl rr pv maxfwd usrloc registrar textops siputils xlog auth'.split(' ');

const folder = scratchFolder();
let kamailio: Kamailio;
let port = 0;

/** A registrar and proxy as its makers' examples have it: 401 for registrations, 407 for texts, no presence. */
function configuration(): string {
  return `#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=2
auto_aliases=no
alias="${DOMAIN}"
listen=udp:127.0.0.1:${port}
listen=tcp:127.0.0.1:${port}
mpath="${MODULES}"
${NEEDED.map((name) => `loadmodule "${name}.so"`).join('\n')}
modparam("usrloc", "db_mode", 0)
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  xlog("L_WARN", "got $rm $ru from $fu at $si\\n");
  t_check_trans();
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("${DOMAIN}", "${PASSWORD}", "0")) { www_challenge("${DOMAIN}", "1"); exit; }
    save("location");
    exit;
  }
  if (!is_method("MESSAGE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  if (!pv_proxy_authenticate("${DOMAIN}", "${PASSWORD}", "0")) { proxy_challenge("${DOMAIN}", "1"); exit; }
  consume_credentials();
  if (!lookup("location")) { sl_send_reply("480", "Nobody there"); exit; }
  t_relay();
}
event_route[core:worker-one-init] {
  xlog("L_WARN", "provider is ready\\n");
}
`;
}

const terminal = (user: string, transport: string, ...more: string[]) =>
  new ChatTerminal(
    { folder: join(folder.path, user), password: PASSWORD },
    `${user}@${DOMAIN}`,
    ...['--server', `127.0.0.1:${port}`, '--transport', transport, ...more],
  );

before(async () => {
  if (skip) return;
  port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as { port: number };
      server.close(() => resolve(free));
    });
  });
  kamailio = await Kamailio.run(folder.path, configuration());
});

after(async () => {
  await kamailio?.stop();
  folder.remove();
});

for (const transport of ['udp', 'tcp']) {
  test(`through Kamailio over ${transport}: two terminals register, and write to each other`, { skip }, async () => {
    await using alice = terminal('alice', transport, '--to', 'bob');
    await using bob = terminal('bob', transport, '--to', 'alice');
    await alice.says(/signed in as alice@texts\.example/, () => kamailio.output);
    await bob.says(/signed in as bob@texts\.example/);
    await alice.says(/\* the server takes no presence \(405 Method Not Allowed\)/);
    alice.type('grüße <an> bob');
    await bob.says(/\d\d:\d\d alice: grüße <an> bob\n/);
    await alice.says(/delivered to bob: grüße <an> bob\n/);
    bob.type('and back');
    await alice.says(/\d\d:\d\d bob: and back\n/);
    await bob.says(/delivered to alice: and back\n/);
    bob.end();
    assert.equal(await bob.ended, 0, bob.output);
    alice.type('are you there');
    await alice.says(/failed: 480 Nobody there: are you there\n/);
    alice.end();
    assert.equal(await alice.ended, 1, alice.output);
  });
}
