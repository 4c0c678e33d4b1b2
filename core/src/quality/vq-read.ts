import { SIP_LIMITS, unquote } from '../sip/index.ts';
import { VQ_LIMITS, VQ_NUMBERS, type VqMetrics, type VqNumber, type VqReport } from './vq-report.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Numbers by their parameter, in small letters. */
const NUMBERS: ReadonlyMap<string, readonly [keyof VqMetrics, VqNumber]> = new Map(
  Object.entries(VQ_NUMBERS).map(([field, number]) => [
    number.name.toLowerCase(),
    [field as keyof typeof VQ_NUMBERS, number],
  ]),
);
const METRIC_LINES: ReadonlySet<string> = new Set(
  ['Timestamps', ...Object.values(VQ_NUMBERS).map(({ line }) => line)].map((line) => line.toLowerCase()),
);
const KINDS: Readonly<Record<string, VqReport['kind']>> = {
  vqsessionreport: 'session',
  vqintervalreport: 'interval',
  vqalertreport: 'alert',
};

/**
 * The body of a voice quality report (RFC 6035 4.6), as phones write it: lines in any order, folded or not, with blanks
 * around `:` and `=`, in any case. What is not known here, or says nothing, is left out.
 *
 * @returns undefined when it is no such report. Of several reports in one body it is the first.
 */
export function readVqReport(text: string): VqReport | undefined {
  if (text.length > VQ_LIMITS.body) return undefined;
  const report: Writable<VqReport> & { local: Writable<VqMetrics>; remote?: Writable<VqMetrics> } = {
    kind: 'session',
    local: {},
  };
  let hasKind = false;
  let metrics = report.local;
  for (const line of unfolded(text)) {
    // The rest is taken as it is and trimmed: blanks that two parts of a pattern could have would be tried in all ways.
    const [, name = '', separator = '', rest = ''] = /^([A-Za-z][\w-]{0,63})[ \t]{0,8}([:=]?)(.*)$/s.exec(line) ?? [];
    const value = rest.trim();
    const key = name.toLowerCase();
    const kind = Object.hasOwn(KINDS, key) ? KINDS[key] : undefined;
    if (kind !== undefined) {
      if (hasKind) break;
      hasKind = true;
      report.kind = kind;
      if (/^CallTerm\b/i.test(value)) report.isFinal = true;
      const alert = kind === 'alert' ? readAlert(value) : undefined;
      if (alert) report.alert = alert;
    } else if (key === 'localmetrics') metrics = report.local;
    else if (key === 'remotemetrics') {
      report.remote ??= {};
      metrics = report.remote;
    } else if (METRIC_LINES.has(key) && separator === ':') readMetrics(value, metrics);
    // A parameter at the start of a line goes on with the line before it.
    else if (separator === '=' && NUMBERS.has(key)) readMetrics(line, metrics);
    else readSession(report, key, value);
  }
  return hasKind ? report : undefined;
}

/** Lines that go on with a blank are one (RFC 6035 4.6.1: SWS between parameters). */
function unfolded(text: string): string[] {
  const lines: string[] = [];
  for (const raw of text.split('\n', VQ_LIMITS.lines)) {
    const line = raw.trimEnd();
    if (line === '') continue;
    if (/^[ \t]/.test(line) && lines.length > 0) lines[lines.length - 1] += ` ${line.trimStart()}`;
    else lines.push(line.trimStart());
  }
  return lines.filter((line) => line.length <= VQ_LIMITS.line + VQ_LIMITS.id);
}

function* parameters(value: string): Generator<readonly [name: string, value: string]> {
  if (value.length > VQ_LIMITS.line) return;
  for (const [, name, given] of value.matchAll(
    /(?<![\w-])([A-Za-z]\w{0,31})[ \t]{0,8}=[ \t]{0,8}("(?:[^"\\]|\\.){0,128}"|[^\s"]{0,128})/g,
  ))
    yield [name!.toLowerCase(), unquote(given!)];
}

function readMetrics(value: string, metrics: Writable<VqMetrics>): void {
  for (const [name, given] of parameters(value)) {
    const number = NUMBERS.get(name);
    if (number) {
      const [field, { min, max }] = number;
      const parsed = /^-?\d{1,10}(?:\.\d{1,9})?$/.test(given) ? Number(given) : Number.NaN;
      if (parsed >= min && parsed <= max) Object.assign(metrics, { [field]: parsed });
    } else if (name === 'start' || name === 'stop') {
      const at = /^\d{4}-\d\d-\d\dT[\d:.]{5,20}(?:Z|[+-]\d\d:\d\d)$/i.test(given) ? Date.parse(given) : Number.NaN;
      if (at >= 0) metrics[name === 'start' ? 'startedAtMs' : 'stoppedAtMs'] = at;
    } else if (name === 'pd') {
      const codec = printable(given, VQ_LIMITS.word);
      if (codec) metrics.codec = codec;
    } else if (name === 'ssup' && /^o(?:n|ff)$/i.test(given)) metrics.silenceSuppression = given.toLowerCase() === 'on';
  }
}

function readAlert(value: string): VqReport['alert'] {
  const { type, severity, dir } = Object.fromEntries(parameters(value));
  const word = (given = '') => (/^[\w-]{1,32}$/.test(given) ? given : undefined);
  const side = dir?.toLowerCase();
  const named = word(type);
  if (named === undefined) return undefined;
  return {
    type: named,
    ...(word(severity) ? { severity: severity!.toLowerCase() } : {}),
    ...(side === 'local' || side === 'remote' ? { side } : {}),
  };
}

function readSession(report: Writable<VqReport>, key: string, value: string): void {
  const id = printable(value, VQ_LIMITS.id);
  if (id === undefined) return;
  if (key === 'callid') report.callId ??= callIdOf(id);
  else if (key === 'localid') report.localId ??= id;
  else if (key === 'remoteid') report.remoteId ??= id;
  else if (key === 'origid') report.originatorId ??= id;
  else if (key === 'dialogid') {
    const [callId, ...tags] = id.split(';').map((part) => part.trim());
    const known = callIdOf(callId!);
    if (known === undefined) return;
    const tag = (name: string) => {
      const found = tags.find((part) => part.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
      return found && found.length <= SIP_LIMITS.tag ? found : undefined;
    };
    const [toTag, fromTag] = [tag('to-tag'), tag('from-tag')];
    report.dialog = { callId: known, ...(toTag ? { toTag } : {}), ...(fromTag ? { fromTag } : {}) };
  }
}

function callIdOf(id: string): string | undefined {
  return id.length <= SIP_LIMITS.callId && !/\s/.test(id) ? id : undefined;
}

function printable(value: string, most: number): string | undefined {
  const text = value.trim();
  return text !== '' && text.length <= most && !/\p{Cc}/u.test(text) ? text : undefined;
}
