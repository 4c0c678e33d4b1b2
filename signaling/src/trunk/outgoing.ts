import { parseNameAddr, parseUri, type SipMessage, SipUri } from '@offhook/core';
import type { Located } from '../locate/index.ts';
import { callerId } from './caller-id.ts';
import { domainOf } from './config.ts';
import type { Exchange } from './credentials.ts';
import type { Line, LineRefusal } from './lines.ts';
import { inOrder, Target, walk } from './targets.ts';
import type { Trunk } from './trunk.ts';
import type { Outgoing, OutgoingCaller } from './trunks.ts';

/** One call out over that trunk, or why there can't be one. */
export function dial(
  trunk: Trunk,
  what: { readonly number: string; readonly caller: OutgoingCaller },
  nowMs: number,
): Outgoing | { readonly status: number; readonly words: string } {
  const { name, config, plan, registration, locate } = trunk;
  const number = plan.fromDialled(what.number);
  if (number === undefined)
    return { status: 484, words: `'${what.number.slice(0, 40)}' is no number that trunk '${name}' can dial` };
  if (registration?.isRefused)
    return { status: 503, words: `trunk '${name}' is not registered: ${registration.words}` };
  const targets = trunk.targets.filter((target) => target.isUp);
  if (targets.length === 0)
    return { status: 503, words: `no target of trunk '${name}' is up: ${trunk.targets[0]?.why ?? ''}` };
  const line = trunk.lines.takeOut(what.caller.payer, nowMs);
  if (typeof line === 'string') return { status: 503, words: refusedWords(trunk, line, what.caller.payer) };

  // The password is answered where the request goes: to a host of the provider's, whatever the registrar says.
  const told = registration?.serviceRoute ?? [];
  const hop = told[0] === undefined ? undefined : parseNameAddr(told[0])?.uri;
  const isTheirs = hop !== undefined && isHostOf(trunk, hop.host);
  const [route, first] = isTheirs ? [told, hop] : [[], undefined];
  // RFC 3608 6.1: the first of the service route is where the request goes; without one it goes to the targets.
  const places = first ? [new Target(String(first))] : inOrder(targets);
  const uri = String(new SipUri({ user: plan.toTrunk(number), host: domainOf(config) }));
  const challenged = new Challenged(trunk);
  let isOver = false;
  return {
    trunk: name,
    payer: what.caller.payer,
    number,
    uri,
    to: `<${uri}>`,
    ...callerId(trunk, what.caller),
    route,
    locate: (now, then) => {
      const tell = (result: Located, later: number) => {
        if (!isOver) then(result, later);
      };
      let why: string | undefined;
      walk({ locate, targets: places }, now, (found, later) => {
        if ('error' in found) {
          tell({ error: `trunk '${name}' can't be reached: ${why ?? found.error}` }, later);
          return;
        }
        const { way, target } = found;
        tell(
          {
            flow: way.flow,
            next: (at) => {
              why = `${target.uri} failed`;
              if (!isOver) way.next(at);
            },
          },
          later,
        );
      });
    },
    // Also when the line is free again: the BYE may be challenged.
    authorize: (request, challenge) => challenged.authorize(request, challenge),
    release: () => {
      isOver = true;
      line.release();
    },
  };
}

/** Whether a host is one of the trunk's targets, or of its domain. */
function isHostOf({ config }: Trunk, host: string): boolean {
  const domain = domainOf(config).toLowerCase();
  const name = host.toLowerCase();
  return (
    name === domain || name.endsWith(`.${domain}`) || config.targets.some((target) => parseUri(target)?.host === name)
  );
}

/** The line of a call out that is up already: its challenges are answered as before. */
export function withPassword(trunk: Trunk, line: Line, payer: string): Line {
  const challenged = new Challenged(trunk);
  return {
    payer,
    authorize: (request, challenge) => challenged.authorize(request, challenge),
    release: () => line.release(),
  };
}

/** The challenges within one call: each request and its repetitions have an exchange of their own. */
class Challenged {
  readonly #trunk: Trunk;
  #exchange: Exchange | undefined;

  constructor(trunk: Trunk) {
    this.#trunk = trunk;
  }

  authorize(request: SipMessage, challenge: SipMessage): readonly [string, string] | undefined {
    const { credentials } = this.#trunk;
    if (!credentials || challenge.kind !== 'response' || request.kind !== 'request') return undefined;
    if (challenge.status !== 401 && challenge.status !== 407) return undefined;
    // Neither can be sent again with credentials (RFC 3261 22.1), and an answer belongs to its request alone.
    if (request.method === 'ACK' || request.method === 'CANCEL') return undefined;
    const { cseq, callId } = request;
    if (
      challenge.callId !== callId ||
      challenge.cseq.number !== cseq.number ||
      challenge.cseq.method !== request.method
    )
      return undefined;
    const isFirst =
      request.header('authorization') === undefined && request.header('proxy-authorization') === undefined;
    if (isFirst || !this.#exchange) this.#exchange = credentials.exchange();
    const answer = this.#exchange.answer(request, challenge);
    if ('header' in answer) return answer.header;
    this.#trunk.tell(`a call is challenged: ${answer.words}`, 'warn');
    return undefined;
  }
}

function refusedWords({ name, lines }: Trunk, why: LineRefusal, user: string): string {
  const { maxCalls, maxCallsPerUser, maxCallsPerSecond } = lines.limits;
  switch (why) {
    case 'lines':
      return `all ${maxCalls} lines of trunk '${name}' are in use`;
    case 'user':
      return `${user} has ${maxCallsPerUser} calls over trunk '${name}' already`;
    case 'rate':
      return `trunk '${name}' takes ${maxCallsPerSecond} new calls a second: too many at once`;
    default:
      return why satisfies never;
  }
}
