import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { RouteReport } from '@offhook/signaling';
import { UsageError } from '../arguments.ts';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';

export interface RouteQuestion {
  readonly from: string;
  readonly to: string;
  readonly trunk: string | undefined;
  /** As it was typed. */
  readonly at: string | undefined;
  /** Rules to be tried without a running system. */
  readonly file: string | undefined;
  readonly json: boolean;
  /** The data folder of the running system; not asked for with `file`. */
  readonly data: () => Promise<string>;
}

const out = (line: string) => process.stdout.write(`${line}\n`);

/** What would become of a call, step by step. Exit code 1: it would be refused. */
export async function route(question: RouteQuestion): Promise<number> {
  const { at } = question;
  if (at !== undefined && Number.isNaN(Date.parse(at)))
    throw new UsageError(`--at: '${at}' is no time like 2026-12-24T20:00 or 2026-12-24T20:00:00+01:00`);
  const report = await (question.file === undefined ? asked(question) : tried(question, question.file));
  if (question.json) out(JSON.stringify(report, undefined, 2));
  else for (const line of lines(question, report)) out(line);
  return report.decision.kind === 'reject' ? 1 : 0;
}

async function asked({ from, to, trunk, at, data }: RouteQuestion): Promise<RouteReport> {
  try {
    return (await ask(await data(), 'signaling', 'route', { from, to, trunk, at })) as RouteReport;
  } catch (error) {
    const { message } = error as Error;
    if (!message.startsWith('Offhook does not run')) throw error;
    throw new Error(`${message}\nRules are tried without it by: ${command('route <from> <to> --file routes.ts')}`);
  }
}

/** Nobody is known then, so every name counts as a user. */
async function tried({ from, to, trunk, at }: RouteQuestion, file: string): Promise<RouteReport> {
  const path = resolve(process.cwd(), file);
  if (!existsSync(path)) throw new UsageError(`--file: ${path}: there is no such file`);
  const { tryRoutes } = await import('@offhook/signaling');
  const facts = trunk === undefined ? { account: from, from, to } : { trunk, from, to };
  return tryRoutes(path, facts, at === undefined ? undefined : Date.parse(at));
}

function lines({ from, to, trunk, at, file }: RouteQuestion, { decision, steps, ...more }: RouteReport): string[] {
  const over = trunk === undefined ? '' : ` over the trunk ${trunk}`;
  const when = at === undefined ? '' : `, ${at}`;
  const known = file === undefined ? '' : '; who is a user here is not known without the running system';
  return [
    `${from} calls ${to}${over}${when} (${more.rules}${known})`,
    ...steps.map((step, i) => `${String(i + 1).padStart(4)}  ${step}`),
    ...decisionLines(decision, more.phones, file === undefined).map((line, i) => `${i === 0 ? '  →' : '   '} ${line}`),
    ...more.warnings.map((words) => `note: ${words}`),
  ];
}

function decisionLines(decision: RouteReport['decision'], phones: RouteReport['phones'], isRunning: boolean): string[] {
  switch (decision.kind) {
    case 'ring': {
      const { steps, showAs } = decision;
      const rung = steps.map(({ targets, ringS }, i) => {
        const who = targets.map((target) => targetWords(target, phones, isRunning)).join(' and ');
        return `${i === 0 ? 'rings' : 'then rings'} ${who}${ringS === undefined ? '' : ` for ${ringS} s`}`;
      });
      const shown = [showAs?.displayName, showAs?.from].filter((words) => words !== undefined).join(', ');
      return showAs ? [...rung, `the caller is shown as ${shown}`] : rung;
    }
    case 'echo':
      return ['the echo'];
    case 'park':
      return [`fetches who is parked at ${decision.slot}`];
    case 'pickup':
      return [`picks up what rings ${decision.user === undefined ? 'in the caller’s groups' : `at ${decision.user}`}`];
    case 'room':
      return [`the room ${decision.room}`];
    case 'reject':
      return [`refused: ${decision.status} ${decision.reason}`];
    default:
      return decision satisfies never;
  }
}

type Target = Extract<RouteReport['decision'], { kind: 'ring' }>['steps'][number]['targets'][number];

function targetWords(target: Target, phones: RouteReport['phones'], isRunning: boolean): string {
  if (target.kind === 'trunk') return `${target.number} over the trunk ${target.trunk}`;
  if (target.kind === 'uri') return target.uri;
  const count = phones[target.user] ?? 0;
  if (!isRunning) return target.user;
  return `${target.user} (${count === 0 ? 'no phone is there' : count === 1 ? '1 phone' : `${count} phones`})`;
}
