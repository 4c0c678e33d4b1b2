const COMMON = `  --config <file>   configuration (default: offhook.config.json of this folder; in a folder that has neither it nor
                    Offhook's data, that of the project's folder)
  --data <folder>   data folder (default: the configuration's, ./data beside it)`;
const JSON_TOO = '  --json            for programs';
const PASSWORD = `  --password <p>    8 characters at least; without it a random one is made and printed once`;
const DIGEST = `  --digest <a>      SHA-256 for phones that know it, MD5 for the others; without it as the server's setting says`;

/** The page of each command; '' is the first page. */
export const HELP: Readonly<Record<string, string>> = {
  '': `offhook — a phone system: SIP server, TURN server, media relay and web phone

Run it as 'npx offhook <command>' in the project's folder, or from anywhere as 'node <that folder>/cli/bin/offhook.mjs'.

  offhook start                 start everything and stay
  offhook stop                  stop everything
  offhook status [--json]       what runs, and where
  offhook user add <name>       also: list, passwd <name>, remove <name>
  offhook link <user>           a one-time login link
  offhook doctor [--json]       what is wrong, and how to mend it
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
  stop: `offhook stop: stops the supervisor and all parts, also those that hang.\n\n${COMMON}`,
  status: `offhook status: the parts that run. Exit code 1 when one of them does not answer, 3 when none runs.

${COMMON}\n${JSON_TOO}`,
  user: `offhook user add <name> [--password <p>] [--name <display name>] [--digest SHA-256|MD5]
offhook user passwd <name> [--password <p>] [--digest SHA-256|MD5]
offhook user remove <name>
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
  'user remove': `offhook user remove <name>: removes an account.\n\n${COMMON}\n${JSON_TOO}`,
  'user list': `offhook user list: the accounts, and whether a phone of theirs is there.\n\n${COMMON}\n${JSON_TOO}`,
  link: `offhook link <user>: prints a link that signs in once, within a day.\n\n${COMMON}`,
  doctor: `offhook doctor: checks everything from the ports to the host and says in words what is wrong.
Exit code 1 when something is.

${COMMON}\n${JSON_TOO}`,
  version: 'offhook version: prints the version.',
};
