import type { NgDictionary, NgValue } from '@offhook/core';
import {
  type Call,
  type DescribeResult,
  NO_PORTS,
  NO_ROOM,
  type PortPools,
  queryCall,
  type SessionBook,
  type Warning,
} from '../session/index.ts';
import { BLOCK_COMMANDS, block } from './blocking.ts';
import type { NgLink, PushedAs } from './dispatcher.ts';
import type { EventHub } from './event-hub.ts';
import type { NameCounts } from './name-counts.ts';
import { knowsLoadLimit, parametersOf, unknownNames } from './parameters.ts';
import { REFUSED } from './refused.ts';
import { subscribeEvents } from './subscribe.ts';
import type { WarningLog } from './warning-log.ts';
import { CONTROL_LIMITS, numberOf, optionsOf, textOf, wordsOf } from './words.ts';

/** Our own verbs beyond rtpengine's, announced at ping. */
export const OFFHOOK_VERBS = ['echo', 'connect', 'events', 'key-frame'] as const;
/** The longest delay of a `delete`, seconds. */
const MAX_DELAY_S = 3600;
/** As rtpengine: a call that a client's `delete` doesn't find. */
const NOT_FOUND = "Call-ID not found or tags didn't match";

export interface ControlCounters {
  requests: number;
  repeated: number;
  malformed: number;
  errors: number;
  unknownCommands: number;
  unknownFlags: number;
  overload: number;
  /** Calls refused because this relay is full or draining. */
  rejected: number;
  /** From an address that may not command this relay; not answered. */
  refusedClients: number;
  /** Cut off because they said nothing, or never the rest of what they began to say. */
  idleConnections: number;
}

export interface ControlContext {
  /** Random: who pings learns from another one that this relay was started anew and has none of the calls of before. */
  readonly instance: string;
  /** Where this protocol is spoken over TCP too, so that events can be pushed; told to who pings. */
  readonly tcpPort: () => number | undefined;
  readonly book: SessionBook;
  readonly ports: PortPools;
  readonly hub: EventHub;
  /** Keys, flags and commands that nobody here reads. */
  readonly unknown: NameCounts;
  readonly warnings: WarningLog;
  readonly counters: ControlCounters;
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  /** Whether commands of that address are carried out. */
  readonly obeys: (address: string) => boolean;
  /** Whether new calls are refused. */
  readonly isDraining: () => boolean;
  /** Called after each command: deadlines may have moved. */
  readonly rearm: () => void;
  readonly statistics: () => NgDictionary;
}

/** Carries out one command of the NG protocol; every failure is an answer in words. */
export async function execute(
  context: ControlContext,
  message: NgDictionary,
  from: { link: NgLink; as: PushedAs },
): Promise<NgDictionary> {
  for (const name of unknownNames(optionsOf(message))) {
    context.counters.unknownFlags++;
    context.unknown.add(name);
  }
  const answer = await run(context, message, from);
  if (answer.result === 'error') context.counters.errors++;
  context.rearm();
  return answer;
}

async function run(
  context: ControlContext,
  message: NgDictionary,
  { link, as }: { link: NgLink; as: PushedAs },
): Promise<NgDictionary> {
  const { command } = message;
  switch (command) {
    case 'ping':
      return {
        result: 'pong',
        'offhook-verbs': [...OFFHOOK_VERBS],
        'offhook-instance': context.instance,
        'offhook-tcp-port': context.tcpPort(),
      };
    case 'offer':
    case 'answer':
    case 'echo':
      return describe(context, command, message);
    case 'connect':
      return connect(context, message);
    case 'key-frame':
      return keyFrame(context, message);
    case 'delete':
      return remove(context, message);
    case 'query':
      return query(context, message);
    case 'list': {
      const limit = typeof message.limit === 'number' ? Math.min(Math.max(message.limit, 0), CONTROL_LIMITS.list) : 32;
      const calls: string[] = [];
      for (const call of context.book.calls()) {
        if (calls.length >= limit) break;
        calls.push(call.id);
      }
      return { result: 'ok', calls };
    }
    case 'statistics':
      return { result: 'ok', statistics: context.statistics() };
    case 'events': {
      const made = subscribeEvents(message, link, as);
      return 'error' in made ? failure(made.error) : { result: 'ok', kinds: [...made.kinds] };
    }
    default:
      return further(context, command, message);
  }
}

/** Commands that are told apart by a table. */
function further(context: ControlContext, command: NgValue | undefined, message: NgDictionary): NgDictionary {
  if (typeof command !== 'string') return failure('command is missing');
  const reason = REFUSED.get(command);
  if (reason !== undefined) return failure(`${command}: ${reason}`);
  if (BLOCK_COMMANDS.has(command)) {
    const problem = block(context.book, command, message);
    if (problem !== undefined) return failure(problem);
    const way = wordsOf(optionsOf(message).keys['DTMF-security'])[0] ?? 'drop';
    if (command !== 'block DTMF' || way === 'drop') return { result: 'ok' };
    return withWarnings(context, { result: 'ok' }, [
      { about: 'DTMF-security', words: 'DTMF-security: keys are dropped, nothing is made in their place' },
    ]);
  }
  context.counters.unknownCommands++;
  context.unknown.add(`command ${command}`);
  return failure(`unknown command '${command.slice(0, 40)}'`);
}

async function describe(
  context: ControlContext,
  command: 'offer' | 'answer' | 'echo',
  message: NgDictionary,
): Promise<NgDictionary> {
  const parameters = parametersOf(message);
  if ('error' in parameters) return failure(parameters.error);
  const { request } = parameters;
  const { warnings } = parameters;
  if (command === 'answer') return outcome(context, context.book.answer(request, context.monotonicMs()), warnings);
  if (!context.book.find(request.callId)) {
    if (context.isDraining()) return busy(context, message, 'this relay is draining and takes no new calls');
    if (context.book.isFull) return busy(context, message, NO_ROOM);
  }
  const needed = context.book.pairsFor(request, command === 'echo');
  if ('error' in needed) return failure(needed.error);
  const pairs = await context.ports.take(needed);
  if (!pairs) return busy(context, message, NO_PORTS);
  const now = context.monotonicMs();
  const described =
    command === 'offer' ? context.book.offer(request, pairs, now) : context.book.echo(request, pairs, now);
  for (const pair of pairs) context.ports.give(pair);
  return outcome(context, described, warnings);
}

function connect({ book, monotonicMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const fromCallId = textOf(message, 'from-call-id', CONTROL_LIMITS.callId);
  const tag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  if (typeof fromCallId !== 'string') return failure('from-call-id is missing or too long');
  if (typeof tag !== 'string') return failure('from-tag is missing or too long');
  const problem = book.connect({ callId, fromCallId, tag }, monotonicMs());
  return problem ? failure(problem.error) : { result: 'ok' };
}

function keyFrame({ book, monotonicMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  const tag = textOf(message, 'from-tag', CONTROL_LIMITS.tag);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  if (typeof tag !== 'string') return failure('from-tag is missing or too long');
  const problem = book.requestKeyFrame(callId, tag, monotonicMs());
  return problem === undefined ? { result: 'ok' } : failure(problem);
}

function remove({ book, monotonicMs, wallMs }: ControlContext, message: NgDictionary): NgDictionary {
  const { flags, keys } = optionsOf(message);
  const texts = ['call-id', 'from-tag', 'to-tag', 'via-branch'].map((name) =>
    textOf(message, name, CONTROL_LIMITS.callId),
  );
  const [callId, fromTag, toTag, branch] = texts;
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  if (typeof fromTag === 'object') return failure(`from-tag ${fromTag.error}`);
  const delayS = keys['delete-delay'] === undefined ? 0 : numberOf(keys['delete-delay'], 0, MAX_DELAY_S);
  if (delayS === undefined) return failure(`delete-delay has to be a whole number of seconds, 0 to ${MAX_DELAY_S}`);
  const call = book.find(callId);
  const names = {
    fromTag,
    toTag: wordOf(toTag),
    branch: wordOf(branch),
    isRequest: keys['sip-message-type'] === 'request',
  };
  const found = call && endedBy(call, names);
  if (!call || found === 'nobody') {
    // A call that is not there (any more) is no error, unless the client says so.
    return flags.has('fatal') ? failure(NOT_FOUND) : { result: 'ok', warning: NOT_FOUND };
  }
  const now = monotonicMs();
  const told = queryCall(call, now, wallMs());
  book.end(call, found, delayS * 1000, now);
  return { result: 'ok', ...told };
}

/** The fork branch that a `delete` is about, undefined: the whole call, `nobody`: it names none of its peers. */
function endedBy(
  call: Call,
  names: { fromTag: string | undefined; toTag: string | undefined; branch: string | undefined; isRequest: boolean },
): NonNullable<ReturnType<Call['leg']>> | undefined | 'nobody' {
  const { fromTag, toTag, branch, isRequest } = names;
  const ofBranch = branch === undefined ? undefined : call.everyLeg().find((leg) => leg.branch === branch);
  const leg = toTag === undefined ? ofBranch : (call.leg(toTag) ?? ofBranch);
  if (!leg) return fromTag === undefined || call.leg(fromTag) ? undefined : 'nobody';
  // The BYE of the dialog that is heard ends the call, though other branches may still be ringing; a final response of a
  // branch ends that branch alone.
  return leg === call.legs[0] || (isRequest && call.answered && leg === call.legs[1]) ? undefined : leg;
}

function wordOf(text: string | { error: string } | undefined): string | undefined {
  return typeof text === 'string' && text !== '' ? text : undefined;
}

function query({ book, monotonicMs, wallMs }: ControlContext, message: NgDictionary): NgDictionary {
  const callId = textOf(message, 'call-id', CONTROL_LIMITS.callId);
  if (typeof callId !== 'string') return failure('call-id is missing or too long');
  const call = book.find(callId);
  return call ? { result: 'ok', ...queryCall(call, monotonicMs(), wallMs()) } : failure('Unknown call-id');
}

function outcome(context: ControlContext, described: DescribeResult, ofRequest: readonly Warning[]): NgDictionary {
  if ('error' in described) return failure(described.error);
  return withWarnings(context, { result: 'ok', sdp: described.sdp }, [...(described.warnings ?? []), ...ofRequest]);
}

function withWarnings(
  { warnings, monotonicMs }: ControlContext,
  answer: NgDictionary,
  all: readonly Warning[],
): NgDictionary {
  for (const warning of all) warnings.add(warning, monotonicMs());
  return all.length === 0 ? answer : { ...answer, warning: all.map(({ words }) => words).join('; ') };
}

/** A client that knows `load limit` asks the next relay; others get an error. */
function busy({ counters }: ControlContext, message: NgDictionary, reason: string): NgDictionary {
  counters.rejected++;
  return knowsLoadLimit(message) ? { result: 'load limit', message: reason } : failure(reason);
}

function failure(reason: string): NgDictionary {
  return { result: 'error', 'error-reason': reason };
}
