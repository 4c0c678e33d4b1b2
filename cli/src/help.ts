import { COMMAND_HELP } from './chat/typed.ts';

const COMMON = `  --config <file>   configuration (default: offhook.config.json of this folder; in a folder that has neither it nor
                    Offhook's data, that of the project's folder)
  --data <folder>   data folder (default: the configuration's, ./data beside it)`;
const JSON_TOO = '  --json            for programs';
const PASSWORD = `  --password <p>    8 characters at least; - is the first line of standard input, since other users of this machine can
                    read a command line. Without it a random one is made and printed once`;
const DIGEST = `  --digest <a>      SHA-256 for phones that know it, MD5 for the others; without it as the server's setting says`;

/** The page of each command; '' is the first page. */
export const HELP: Readonly<Record<string, string>> = {
  '': `offhook — a phone system: SIP server, TURN server, media relay and web phone

Run it as 'npx offhook <command>' in the project's folder, or from anywhere as 'node <that folder>/cli/bin/offhook.mjs'.

  offhook start                 start everything and stay
  offhook relay                 start the media relay alone, for Kamailio or OpenSIPS, and stay
  offhook stop                  stop everything
  offhook status [--json]       what runs, and where
  offhook user add <name>       also: list, passwd <name>, remove <name>, calls <name>
  offhook link <user>           a one-time login link
  offhook chat <user>           texts and presence in a terminal
  offhook trunks [--json]       the providers, and whether calls can go over them
  offhook bans [--json]         who is not listened to for a while; also: lift <address>, add <address>
  offhook route <from> <to>     what would become of a call, step by step
  offhook calls [--watch]       the calls of the moment, and how they sound at each phone
  offhook cdrs [--user <name>]  ended calls, searched by who, when and how
  offhook turn status           the TURN server and who uses it; also: users, drain, rotate-secret, coturn-conf, …
  offhook doctor [--json]       what is wrong, and how to mend it
  offhook echo <url>            does what is sent there come back? over UDP, TCP, TLS, WebSocket
  offhook echo listen           the other side of that: sends everything back
  offhook version               also --version

${COMMON}
  --help                        help for each command: offhook start --help`,
  start: `offhook start: starts media relay, TURN and signalling, restarts what dies or hangs, stops all on Ctrl-C.
Parts that run already (after a killed supervisor) are adopted. Exit code 1 when a part can't start, or Offhook runs already
with this data folder.

${COMMON}
  --port <n>        HTTP port of the web phone (default 8080; 0 = any)
  --public          listen on this host's own addresses too, not only on loopback
  --quiet           say only what goes wrong`,
  relay: `offhook relay: starts the media relay alone, in the place of rtpengine: for Kamailio, OpenSIPS, or an Offhook on another machine.
It prints where it is and what kamailio.cfg has to say, restarts workers that die or hang, and stops them on Ctrl-C or SIGTERM.
What counts of the configuration is media, public, hostAddresses and data; see docs/in-rtpengines-place.md. Exit code 1 when
a worker can't start, another program has a control port, or Offhook runs already with this data folder.

${COMMON}
  --public          plain RTP on this host's own address, not only on loopback
  --quiet           say only what goes wrong`,
  stop: `offhook stop: stops the supervisor and all parts, also those that hang.\n\n${COMMON}`,
  status: `offhook status: the parts that run. Exit code 1 when one of them is starting still, or does not answer,
3 when none runs.

${COMMON}\n${JSON_TOO}`,
  user: `offhook user add <name> [--password <p>] [--name <display name>] [--digest SHA-256|MD5]
offhook user passwd <name> [--password <p>] [--digest SHA-256|MD5]
offhook user remove <name>
offhook user calls <name> [--forward <to>] [--busy <to>] [--no-answer <to>] [--after <seconds>] [--dnd on|off]
offhook user list

Accounts of the running system; each has a page of its own: offhook user add --help

${COMMON}\n${JSON_TOO}`,
  'user add': `offhook user add <name>: makes an account, and prints what a SIP phone has to be told.

${PASSWORD}
  --name <name>     what others see on their display (default: the user's name)
${DIGEST}
${COMMON}\n${JSON_TOO}`,
  'user passwd': `offhook user passwd <name>: gives an account a new password; its phones have to be told.

${PASSWORD}
${DIGEST}
${COMMON}\n${JSON_TOO}`,
  'user calls': `offhook user calls <name>: what becomes of a user's calls; with options, changes it.

  --forward <to>      all calls go there at once: a user, a number, or off
  --busy <to>         when the user is busy or declines: a user, a number, or off
  --no-answer <to>    when nobody answers or is signed in: a user, a number, or off
  --after <seconds>   how long the phones ring before that, 5 to 60 (default 20)
  --dnd on|off        do not disturb: the phones stay silent, callers go where busy ones go
${COMMON}\n${JSON_TOO}`,
  'user remove': `offhook user remove <name>: removes an account.\n\n${COMMON}\n${JSON_TOO}`,
  'user list': `offhook user list: the accounts, and whether a phone of theirs is there.\n\n${COMMON}\n${JSON_TOO}`,
  link: `offhook link <user>: prints a link that signs in once, within a day.\n\n${COMMON}`,
  chat: `offhook chat <user>[@domain]: signs in as that user, over SIP, and exchanges texts with others: terminals like this one, the
web phone, and every SIP phone that knows MESSAGE. Without a domain it is an account of the system that runs here; with another
domain its server is found by DNS, or named by --server. The password is asked for, or taken from OFFHOOK_PASSWORD.

  --to <user>            whom what you type goes to first: bob, or bob@example.org
  --server <host[:port]> the SIP server (registrar)
  --transport <t>        udp (default), tcp or tls
  --password-file <file> its first line is the password
  --ca <file>            trusts that CA too (PEM); the own CA of the system that runs here is trusted by itself
  --json                 one JSON object for each thing that happens, for programs

What can be typed: a text, or
${COMMAND_HELP.map((line) => `  ${line}`).join('\n')}

When standard input is no terminal, its lines are read one after the other, and it ends after the last one, once it is known what
has become of all texts. Exit code 1 when it can't sign in, or a text did not arrive.

${COMMON}`,
  trunks: `offhook trunks: each trunk with its state, its registration and the lines in use. Exit code 1 when one is down.

${COMMON}\n${JSON_TOO}`,
  bans: `offhook bans: the addresses that nothing is taken from for a while, why, and for how long: scanners, whoever asks for many
accounts or numbers without signing in, guesses at passwords, sends what can't be read.
offhook bans lift <address>: listens to an address again, and forgets what it did.
offhook bans add <address>: bans an address for a day.

This machine (127.0.0.1, ::1), trunks, edge proxies and whoever is signed in are never banned.

${COMMON}\n${JSON_TOO}`,
  route: `offhook route <from> <to> [--trunk <name>] [--at <time>] [--file <routes.ts>]: says step by step what would become of a call,
by the rules of routes.ts and what is built in. Nothing is called. Exit code 1 when the call would be refused.

  --trunk <name>    the call comes in over that trunk; <from> is the number it shows
  --at <time>       as if it were then: 2026-12-24T20:00 (here), 2026-12-24T20:00:00+01:00
  --file <file>     tries that file without the running system; who is a user here is not known then
${COMMON}\n${JSON_TOO}`,
  calls: `offhook calls: the calls of the moment, and of each phone in them what comes from it and what it says of what goes to it:
packets lost of the last interval, jitter, score (MOS 1 to 4.5) and round trip. Of calls that the relay passes unread, and of
relays elsewhere, nothing of that is known. Calls that another program (Kamailio, OpenSIPS) leads through a relay of ours are
shown by their call-ids, with the tags of their phones.

  --watch           again each second, until Ctrl-C; with --json one object a line
${COMMON}\n${JSON_TOO}`,
  cdrs: `offhook cdrs: ended calls, the newest first; options that are given have to hold all. Nobody's name is hidden here.

  --user <name>     calls of that user, who called, was called or took the call
  --with <who>      somebody else in it: a user or a number
  --from <who>      who called
  --to <who>        who was called
  --direction <d>   in or out, as --user sees it
  --answered <a>    yes or no
  --status <s>      how it ended: 486, or 4xx for all of the kind
  --since <time>    begun then or later: 2026-12-24, 2026-12-24T20:00 (here), 2026-12-24T20:00+01:00, or Unix milliseconds
  --until <time>    begun then or earlier; a date includes its whole day
  --min-s <n>       talked for so many seconds at least
  --max-s <n>       … at most
  --text <words>    in the words that say how it ended
  --limit <n>       so many (default 50)
  --before <where>  goes on where an answer before has ended, which says how
  --csv             for spreadsheets; times in UTC
${COMMON}\n${JSON_TOO}`,
  turn: `offhook turn status [--json]                       the TURN server, and who uses it
offhook turn users [add <name> | remove <name>]     long-term users; web phones need none
offhook turn drain [--to <address:port>] [--wait]   no new allocations from now on
offhook turn undrain                                … again
offhook turn rotate-secret [--force]                a new secret for credentials; the one before stays good
offhook turn credentials <user> [--ttl <s>]         credentials for trying
offhook turn coturn-conf [--for 4.6|4.17]           the configuration as a coturn.conf
offhook turn check-conf <file>                      what our server makes of a coturn.conf
offhook turn serve --conf <file>                    the TURN server alone, by a coturn.conf

Each has a page of its own: offhook turn drain --help. Without a word it is status.

${COMMON}\n${JSON_TOO}`,
  'turn status': `offhook turn status: the running TURN server, its allocations, and what each user has sent and got since it was started.

${COMMON}\n${JSON_TOO}`,
  'turn users': `offhook turn users [list]: the long-term users of the running TURN server, who need no time-limited credentials. Web
phones need none of it: they are given credentials when they sign in.
offhook turn users add <name> [--password <p>]: makes one, or gives it another password.
offhook turn users remove <name>: takes it away; its allocations end at once.

${PASSWORD}
${COMMON}\n${JSON_TOO}`,
  'turn drain': `offhook turn drain: the TURN server makes no new allocations, so that it can be stopped without cutting anybody off; those
that are there go on.

  --to <address:port>  clients are sent to that server (RFC 8489 10), until undrain or another --to; without it to the one
                       named before, or to turn.alternateServer, if there is one
  --wait               stay until no allocation is left, and say how many are
${COMMON}`,
  'turn undrain': `offhook turn undrain: the TURN server makes new allocations again.\n\n${COMMON}`,
  'turn rotate-secret': `offhook turn rotate-secret: a new secret signs TURN credentials from now on, at once and without a restart. Those of the one
before are good until they end (turn.credentialTtlS); those of the one before that are not any more, and their allocations
end. So a second change within that time is refused. Both stand in secrets.json. Without a running system the new one is
used from the next start on. Exit code 1 when it is refused, or a part could not be told.

  --force           change it though credentials of the one before that may be in use
${COMMON}`,
  'turn credentials': `offhook turn credentials <user>: a time-limited user name and password as web phones are given them, and where they are good.
The user counts for quotas, and need not have an account.

  --ttl <s>         how long they are good, 1 to 604800 (default 3600)
${COMMON}\n${JSON_TOO}`,
  'turn coturn-conf': `offhook turn coturn-conf: writes a coturn.conf for the same service, with the same secrets, so that a coturn can stand beside
or in place of our server. What coturn can't be told is said on standard error, and stands in the file as comments.

  --for <version>   4.6 (Debian 12; good up to 4.15) or 4.17 (from 4.16 on); without it that of the turnserver of this
                    machine, or 4.6
  --out <file>      into a file that its owner alone can read; without it on standard output
  --public          as with offhook start --public
${COMMON}`,
  'turn check-conf': `offhook turn check-conf <file>: reads a coturn.conf as our server would, and says what is taken, what is otherwise here than
with coturn, and what keeps it from being served. Exit code 1 when something does.

${COMMON}\n${JSON_TOO}`,
  'turn serve': `offhook turn serve --conf <file>: runs the TURN server alone, without the rest of Offhook, by a coturn.conf, until Ctrl-C.

  --conf <file>     the coturn.conf; offhook turn check-conf <file> says beforehand what becomes of it
${COMMON}`,
  doctor: `offhook doctor: checks everything from the ports to the host and says in words what is wrong.
Exit code 1 when something is.

${COMMON}\n${JSON_TOO}`,
  echo: `offhook echo <url>: sends 'Hello, Server!' and more to an echo, prints each round trip as it comes back, and at the end what
was lost. Exit code 0 when everything came back, 1 when something was lost or nobody reached.

  udp://host:port   tcp://host:port   tls://host:port   ws://host:port/path   wss://host:port/path

The other side is 'offhook echo listen' or any other echo (RFC 862, usually port 7; any WebSocket echo). IPv6 in brackets:
udp://[::1]:7007. Over TLS, certificates are checked with the authorities of this machine and with the own CA in the data folder.

  --count <n>       messages to send, 1 to 100000 (default 4)
  --interval <ms>   between them, 1 to 60000 (default 200)
  --size <bytes>    of each, 24 to 1000000, over UDP to 65507 (default: as long as the greeting)
  --timeout <s>     for connecting, and for what has not come back after the last, 0.1 to 60 (default 3)
  --ca <file>       trust this authority (or this certificate), and no other
  --fingerprint <f> trust the one certificate that has this SHA-256 fingerprint; its listener printed it
  --insecure        go on without trust, and say what is wrong
${COMMON}\n${JSON_TOO}`,
  'echo listen': `offhook echo listen: sends everything back that arrives, until Ctrl-C. Without options it opens UDP and TCP 7007, TLS 7008,
WebSocket 7080 and 7443 (WSS) on loopback, or the next free port where one of them is taken; with some of these, those only:

  --udp <at>  --tcp <at>  --tls <at>  --ws <at>  --wss <at>
                    a port (7007), an address and port (192.0.2.1:7007, [2001:db8::1]:7007; 0.0.0.0 and [::] are all),
                    or any; several with commas, or the option again. A port that is taken is an error then
  --public          a port alone stands for all addresses of this machine, not only loopback
  --cert <file>     certificate for TLS and WSS, with --key <file>; without them that of the configuration, one by the own CA
                    in the data folder, or, when there is none, one made for now whose fingerprint is printed
  --connections <n> open at a time, 1 to 10000 (default 200)
  --per-address <n> of them from one address, 1 to 10000 (default 20)
  --max-size <n>    bytes of a WebSocket message or datagram, 1 to 1048576 (default 65536)
  --idle <s>        until a connection on which nothing comes is closed, 1 to 86400 (default 60)
  --rate <n>        bytes per second of a connection, or of an address over UDP, 65536 to 1000000000 (default 1000000);
                    connections are slowed down to it, datagrams above it dropped
  --quiet           don't say who comes
${COMMON}\n  --json            lines for programs`,
  version: 'offhook version: prints the version.',
};
