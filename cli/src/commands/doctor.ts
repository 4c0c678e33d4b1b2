import type { PartStatus } from '@offhook/core/node';
import { controlAddress } from '../composition.ts';
import { type Config, type ConfigFlags, loadConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { findData } from '../config/find-data.ts';
import { certificateFinding, handshakeFinding } from '../doctor/certificate.ts';
import { controlPortUsed } from '../doctor/control-port.ts';
import { lastWords, obstacles } from '../doctor/data.ts';
import type { Finding } from '../doctor/finding.ts';
import { machine } from '../doctor/machine.ts';
import { mediaAddressFindings } from '../doctor/media-addresses.ts';
import { portsFree } from '../doctor/ports.ts';
import {
  httpFinding,
  muxFinding,
  ngFinding,
  sipUdpFinding,
  tcpFinding,
  turnFinding,
  upgradeFinding,
} from '../doctor/probes.ts';
import { routesFindings, runningRoutes } from '../doctor/routes.ts';
import { turnPortFindings } from '../doctor/turn.ts';
import { workerCount } from '../parts.ts';
import { type FoundPart, type FoundSupervisor, foundParts, foundSupervisor, logOf, runningReach } from '../running.ts';
import { command } from '../spelling.ts';
import { banFindings } from './bans.ts';
import { isStarting } from './control.ts';
import { trunkFindings } from './trunks.ts';

/** What runs with a data folder. */
interface Running {
  readonly data: string;
  readonly supervisor: FoundSupervisor | undefined;
  readonly parts: readonly FoundPart[];
}

/** Checks the machine, the configuration, and every part from outside; works when nothing runs too. */
export async function doctor(flags: ConfigFlags, json: boolean): Promise<number> {
  const { findings, nothingRuns } = await examine(flags);
  const bad = findings.filter(({ state }) => state === 'bad').length;
  if (json) process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  else {
    for (const { what, state, words, remedy } of findings) {
      process.stdout.write(
        `${state === 'good' ? '  ok   ' : state === 'note' ? '  note ' : '  BAD  '}${what}: ${words}\n`,
      );
      if (remedy) process.stdout.write(`         → ${remedy}\n`);
    }
    process.stdout.write(`${verdict(bad, nothingRuns)}\n`);
  }
  return bad > 0 ? 1 : 0;
}

function verdict(bad: number, nothingRuns: boolean): string {
  if (bad > 0) return `${bad} ${bad === 1 ? 'thing is' : 'things are'} wrong.`;
  return nothingRuns
    ? 'Nothing runs here, and nothing was found that would keep it from starting.'
    : 'Nothing is wrong.';
}

async function examine(flags: ConfigFlags): Promise<{ findings: Finding[]; nothingRuns: boolean }> {
  const findings: Finding[] = [];
  let config: Config | undefined;
  let data: string | undefined;
  try {
    config = loadConfig(flags, process.cwd());
    data = config.data;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const words of error.problems)
      findings.push({
        what: 'configuration',
        state: 'bad',
        words,
        remedy: 'every key stands in cli/config.schema.json; without the file the defaults are good',
      });
    data = dataAnyway(flags);
  }
  if (data === undefined) return { findings, nothingRuns: true };
  const [supervisor, parts] = await Promise.all([foundSupervisor(data), foundParts(data)]);
  const running = { data, supervisor, parts };
  const nothingRuns = !supervisor && parts.length === 0;
  if (config) {
    const host = [
      ...machine(config, nothingRuns ? undefined : runningReach(data)),
      ...(await mediaAddressFindings(config)),
      ...obstacles(config),
    ];
    const all = [...host, certificateFinding(config)];
    findings.push(...(isRelayAlone(supervisor) ? all.filter(({ what }) => !OF_SIGNALING.includes(what)) : all));
  }
  if (!nothingRuns) findings.push(...(await system(running, config)));
  else {
    if (config) findings.push(...lastWords(data, expectedParts(config)));
    findings.push({
      what: 'parts',
      state: 'note',
      words: `nothing runs with the data folder ${data}`,
      remedy: command('start'),
    });
    if (config) findings.push(...(await routesFindings(config)), ...(await portsFree(config)));
  }
  return { findings, nothingRuns };
}

/** Nobody needs them where `offhook relay` runs. */
const OF_SIGNALING = ['web phone', 'reach', 'certificate'];

function isRelayAlone(supervisor: FoundSupervisor | undefined): boolean {
  return supervisor?.parts?.every(({ part }) => part.startsWith('media-relay-')) === true;
}

function dataAnyway(flags: ConfigFlags): string | undefined {
  try {
    return findData(flags, process.cwd(), () => {});
  } catch {
    return undefined;
  }
}

function expectedParts(config: Config): string[] {
  const workers = Array.from({ length: workerCount(config) }, (_, i) => `media-relay-${i}`);
  return ['signaling', ...(config.turn.enabled ? ['turn'] : []), ...workers];
}

async function system({ data, supervisor, parts }: Running, config: Config | undefined): Promise<Finding[]> {
  const wanted = supervisor?.parts?.map(({ part }) => part) ?? (config ? expectedParts(config) : []);
  const findings = [supervisorFinding(supervisor)];
  for (const name of new Set([...wanted, ...parts.map((part) => part.name)])) {
    const found = parts.find((part) => part.name === name);
    findings.push(found?.status ? partFinding(found.status) : absentFinding(data, { name, found, supervisor }));
  }
  const answering = parts.flatMap(({ status }) => status ?? []);
  const portsOf = (name: string) => answering.find(({ part }) => part === name)?.ports;
  const { http, https, udp, tcp, tls } = portsOf('signaling') ?? {};
  const ownCa = runningReach(data)?.ownCa;
  if (http) findings.push(await httpFinding(http), await upgradeFinding(http));
  if (udp) findings.push(await sipUdpFinding(udp));
  if (tcp) findings.push(await tcpFinding(tcp));
  if (https) findings.push(await handshakeFinding('HTTPS', https, ownCa));
  if (tls) findings.push(await handshakeFinding('SIP over TLS', tls, ownCa));
  const signaling = answering.find(({ part }) => part === 'signaling');
  if (signaling)
    findings.push(
      ...(await trunkFindings(data)),
      ...(await banFindings(data)),
      ...runningRoutes(signaling, config?.routes),
    );
  const turn = portsOf('turn');
  if (turn?.udp) findings.push(await turnFinding(turn.udp));
  if (turn?.tls) findings.push(await handshakeFinding('TURN over TLS', turn.tls, ownCa));
  if (turn && config) findings.push(...turnPortFindings(config, turn));
  for (const { part, ports } of answering.filter(({ part }) => part.startsWith('media-relay'))) {
    if (ports.ng) findings.push(await ngFinding(part, ports.ng, config && controlAddress(config.media)));
    if (config) findings.push(...controlPortUsed(part, ports, config));
    if (ports.mux) findings.push(await muxFinding(part, ports.mux, config && firstMux(config)));
  }
  return findings;
}

function firstMux({ media }: Config): string | undefined {
  const [one] = media.muxAddresses ?? [];
  return typeof one === 'object' ? one.address : one;
}

function supervisorFinding(supervisor: FoundSupervisor | undefined): Finding {
  const what = 'supervisor';
  if (supervisor?.parts) return { what, state: 'good', words: `watches the parts, pid ${supervisor.pid}` };
  if (supervisor)
    return {
      what,
      state: 'bad',
      words: `no answer (pid ${supervisor.pid}); parts that die are not restarted`,
      remedy: `${command('stop')}, then ${command('start')}`,
    };
  return {
    what,
    state: 'bad',
    words: 'no supervisor: parts that die are not restarted',
    remedy: `adopt them with: ${command('start')}`,
  };
}

interface Absent {
  readonly name: string;
  readonly found: FoundPart | undefined;
  readonly supervisor: FoundSupervisor | undefined;
}

/** A part that does not run, or lives and does not answer. */
function absentFinding(data: string, { name, found, supervisor }: Absent): Finding {
  const log = logOf(data, name);
  const watched = supervisor?.parts !== undefined;
  if (isStarting(name, supervisor)) return { what: name, state: 'note', words: 'is starting', remedy: 'ask again' };
  if (found?.own)
    return {
      what: name,
      state: 'bad',
      words: `no answer (pid ${found.own.pid})`,
      remedy: watched
        ? `the supervisor ends it when it has not answered for 15 s, and starts it again; at once: ${command('stop')}, then ${command('start')}`
        : `${command('stop')}, then ${command('start')}; its log: ${log}`,
    };
  return {
    what: name,
    state: 'bad',
    words: 'does not run',
    remedy: watched
      ? `the supervisor tries again by itself; see ${log}`
      : `see ${log}; start it with: ${command('start')}`,
  };
}

function partFinding(part: PartStatus): Finding {
  const warnings = part.details.warnings;
  const words = `${part.state}, pid ${part.pid}, ${Object.entries(part.ports)
    .map(([name, port]) => `${name} ${port}`)
    .join(', ')}`;
  if (part.details.dtls !== undefined && part.details.dtls !== 'on')
    return {
      what: part.part,
      state: 'bad',
      words: `${words}; DTLS is off: ${String(part.details.dtls)}`,
      remedy: 'calls between browsers and SIP phones need it; use the pinned Node',
    };
  if (Array.isArray(warnings) && warnings.length > 0)
    return { what: part.part, state: 'note', words: `${words}; ${warnings.join('; ')}` };
  return { what: part.part, state: 'good', words };
}
