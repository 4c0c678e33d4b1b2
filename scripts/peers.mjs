// The programs that the tests talk to, and how Debian calls their packages (several with a space between).
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const PEERS = [
  { command: 'chromium', package: 'chromium', use: 'browser calls' },
  { command: 'firefox-esr', package: 'firefox-esr', use: 'browser calls' },
  { command: 'certutil', package: 'libnss3-tools', use: "browsers' authorities" },
  { command: 'baresip', package: 'baresip-core', use: 'SIP phone' },
  { command: 'linphonec', package: 'linphone-cli', use: 'SIP phone' },
  { command: 'sipp', package: 'sip-tester', use: 'SIP load and scenarios' },
  { command: 'sipsak', package: 'sipsak', use: 'SIP probes' },
  { command: 'svmap', package: 'sipvicious', use: 'SIP scanner' },
  { command: 'espeak-ng', package: 'espeak-ng', use: 'spoken sentences' },
  { command: 'sox', package: 'sox', use: 'sound files' },
  { command: 'turnserver', package: 'coturn', use: 'TURN peer' },
  { command: 'turnutils_uclient', package: 'coturn', use: 'TURN client' },
  { command: 'rtpengine', package: 'rtpengine-daemon', use: 'media relay peer' },
  {
    command: 'kamailio',
    package: 'kamailio kamailio-websocket-modules kamailio-lwsc-modules kamailio-tls-modules kamailio-outbound-modules',
    use: 'SIP provider and edge proxy',
  },
  { command: 'ip', package: 'iproute2', use: 'network namespaces' },
  { command: 'iptables', package: 'iptables', use: 'network namespaces' },
  { command: 'ps', package: 'procps', use: 'process lists' },
  { command: 'pulseaudio', package: 'pulseaudio', use: "Firefox's sound" },
  { command: 'openssl', package: 'openssl', use: 'certificates, DTLS peer' },
  { command: 'unshare', package: 'util-linux', use: 'network namespaces' },
];

/** Folders that a shell of root has and a CI job may lack. */
const SEARCH = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function present(command) {
  return SEARCH.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function missingPeers() {
  return PEERS.filter((peer) => !present(peer.command));
}

function isDebianRoot() {
  if (process.getuid?.() !== 0 || !present('apt-get')) return false;
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** Installs on Debian as root, so that none of their services is started; answers what is still missing. */
export function installPeers(missing, say) {
  const packages = [...new Set(missing.flatMap((peer) => peer.package.split(' ')))];
  if (!isDebianRoot()) {
    say(`on Debian the missing test peers come with: apt install ${packages.join(' ')}`);
    return missing;
  }
  say(`installing the test peers that are missing (apt-get install ${packages.join(' ')}) …`);
  withoutServices(() => {
    const apt = (...args) =>
      spawnSync('apt-get', ['-q', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=30', ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      }).status === 0;
    if (!apt('update')) say('apt-get update did not succeed; trying with the lists that are there.');
    if (apt('install', '-y', '--no-install-recommends', ...packages)) return;
    for (const name of packages) apt('install', '-y', '--no-install-recommends', name); // one bad name must not cost the others
  });
  return missingPeers();
}

/** invoke-rc.d asks policy-rc.d before it starts a service; 101 forbids it. */
function withoutServices(run) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return run();
  const remove = () => rmSync(policy, { force: true });
  const interrupted = () => {
    remove();
    process.exit(130);
  };
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  try {
    run();
  } finally {
    remove();
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}
