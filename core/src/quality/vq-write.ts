import { quote } from '../sip/index.ts';
import { VQ_NUMBERS, type VqMetrics, type VqReport } from './vq-report.ts';

const FIRST = { session: 'VQSessionReport', interval: 'VQIntervalReport', alert: 'VQAlertReport' } as const;

/**
 * The body of a voice quality report (RFC 6035 4.6.1), one line each, ended by CRLF. What is not known, or out of its range, is
 * left out.
 */
export function writeVqReport(report: VqReport): string {
  const { kind, isFinal, alert, local, remote, dialog } = report;
  const first = isFinal ? 'CallTerm' : alert ? alertWords(alert) : '';
  const lines = [first === '' ? FIRST[kind] : `${FIRST[kind]}: ${first}`];
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== '') lines.push(`${name}: ${value.replace(/\p{Cc}/gu, '')}`);
  };
  add('CallID', report.callId);
  add('LocalID', report.localId);
  add('RemoteID', report.remoteId);
  add('OrigID', report.originatorId);
  lines.push('LocalMetrics:', ...metricLines(local));
  if (remote) lines.push('RemoteMetrics:', ...metricLines(remote));
  const { callId, toTag, fromTag } = dialog ?? {};
  add('DialogID', callId && `${callId}${toTag ? `;to-tag=${toTag}` : ''}${fromTag ? `;from-tag=${fromTag}` : ''}`);
  return `${lines.join('\r\n')}\r\n`;
}

function alertWords({ type, severity, side }: NonNullable<VqReport['alert']>): string {
  return [`Type=${type}`, ...(severity ? [`Severity=${severity}`] : []), ...(side ? [`Dir=${side}`] : [])].join(' ');
}

function metricLines(metrics: VqMetrics): string[] {
  const lines = new Map<string, string[]>();
  const add = (line: string, name: string, value: string | undefined) => {
    if (value !== undefined) lines.set(line, [...(lines.get(line) ?? []), `${name}=${value}`]);
  };
  const { startedAtMs, stoppedAtMs, codec, silenceSuppression } = metrics;
  add('Timestamps', 'START', timeOf(startedAtMs));
  add('Timestamps', 'STOP', timeOf(stoppedAtMs));
  if (codec) add('SessionDesc', 'PD', /^[\w.+/-]+$/.test(codec) ? codec : quote(codec.replace(/\p{Cc}/gu, '')));
  for (const [field, { line, name, min, max, decimals }] of Object.entries(VQ_NUMBERS)) {
    const value = metrics[field as keyof typeof VQ_NUMBERS];
    if (value === undefined || !(value >= min && value <= max)) continue;
    add(line, name, String(Number(value.toFixed(decimals))));
  }
  if (silenceSuppression !== undefined) add('SessionDesc', 'SSUP', silenceSuppression ? 'on' : 'off');
  return [...lines].map(([line, parameters]) => `${line}: ${parameters.join(' ')}`);
}

/** Four digits of year are what RFC 3339 has. */
function timeOf(atMs: number | undefined): string | undefined {
  return atMs !== undefined && atMs >= 0 && atMs < 253_402_300_800_000 ? new Date(atMs).toISOString() : undefined;
}
