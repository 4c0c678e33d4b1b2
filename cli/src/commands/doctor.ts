import { join } from 'node:path';
import type { PartStatus } from '@offhook/core/node';
import { type Config, ConfigError, type ConfigFlags, loadConfig } from '../config/config.ts';
import type { Finding } from '../doctor/finding.ts';
import { machine } from '../doctor/machine.ts';
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
import { workerCount } from '../parts.ts';
import { runningParts } from '../running.ts';

/** Checks the machine, the configuration, and every part from outside; works when nothing runs too. */
export async function doctor(flags: ConfigFlags, json: boolean): Promise<number> {
  const findings = await examine(flags);
  if (json) process.stdout.write(`${JSON.stringify(findings, undefined, 2)}\n`);
  else {
    for (const { what, state, words, remedy } of findings) {
      process.stdout.write(
        `${state === 'good' ? '  ok   ' : state === 'note' ? '  note ' : '  BAD  '}${what}: ${words}\n`,
      );
      if (remedy) process.stdout.write(`         → ${remedy}\n`);
    }
    const bad = findings.filter(({ state }) => state === 'bad').length;
    process.stdout.write(
      bad === 0 ? 'Nothing is wrong.\n' : `${bad} ${bad === 1 ? 'thing is' : 'things are'} wrong.\n`,
    );
  }
  return findings.some(({ state }) => state === 'bad') ? 1 : 0;
}

async function examine(flags: ConfigFlags): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(flags, process.cwd());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((words) => ({
      what: 'configuration',
      state: 'bad',
      words,
      remedy: 'every key stands in cli/config.schema.json; without the file the defaults are good',
    }));
  }
  return [...machine(config), ...(await system(config))];
}

async function system(config: Config): Promise<Finding[]> {
  const parts = await runningParts(config.data);
  if (parts.length === 0)
    return [{ what: 'parts', state: 'note', words: 'nothing runs', remedy: 'npm start' }, ...(await portsFree(config))];
  const find = (name: string) => parts.find(({ part }) => part === name);
  const findings: Finding[] = [];
  const workers = Array.from({ length: workerCount(config) }, (_, i) => `media-relay-${i}`);
  for (const name of ['signaling', ...(config.turn.enabled ? ['turn'] : []), ...workers]) {
    const part = find(name);
    findings.push(
      part
        ? partFinding(part)
        : {
            what: name,
            state: 'bad',
            words: 'does not run',
            remedy: `see ${join(config.data, 'log', `${name}.log`)}; 'npm start' starts it again`,
          },
    );
  }
  const { http, udp, tcp } = find('signaling')?.ports ?? {};
  if (http) findings.push(await httpFinding(http), await upgradeFinding(http));
  if (udp) findings.push(await sipUdpFinding(udp));
  if (tcp) findings.push(await tcpFinding(tcp));
  const turn = find('turn')?.ports.udp;
  if (turn) findings.push(await turnFinding(turn));
  for (const { part, ports } of parts.filter(({ part }) => part.startsWith('media-relay'))) {
    if (ports.ng) findings.push(await ngFinding(part, ports.ng));
    if (ports.mux) findings.push(await muxFinding(part, ports.mux));
  }
  return findings;
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
