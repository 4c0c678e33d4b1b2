import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openUdpPort, UdpEndpoint, type UdpPort } from '@offhook/core/node';

/**
 * Loads one relay from the other core and prints one line of JSON: `generator.ts <variant> <pps, 0 = flat out> <bytes>
 * <seconds>`. It never sleeps, so that its own wake-ups don't shape the load.
 */
export interface LoadResult {
  readonly variant: string;
  readonly pps: number;
  readonly bytes: number;
  /** CPU of the relay process, all threads, per packet that arrived at the sink. */
  readonly cpuUsPerPacket: number;
  readonly deliveredPps: number;
  readonly lossPercent: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const FLOWS = 1000;
const SOURCES = 16;
const IN_FLIGHT = 512;
const SETTLE_MS = 2000;
const HISTOGRAM_US = 200_000;

function processCpuNs(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`))
    total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  return total;
}

const [variant, ppsText, bytesText, secondsText] = process.argv.slice(2) as [string, string, string, string];
const pps = Number(ppsText);
const bytes = Number(bytesText);
const measuredMs = Number(secondsText) * 1000;
const open = () => openUdpPort({ address: '127.0.0.1', port: 0, receiveBuffer: 4 << 20, implementation: 'mmsg' });
const sink = await open();
const sources = await Promise.all(Array.from({ length: SOURCES }, open));
const sourcePorts = sources.map((port) => port.local.port).join(',');
const script = new URL('relay.ts', import.meta.url).pathname;
const relay = spawn('taskset', ['-c', '0', process.execPath, script, variant, `${sink.local.port}`, sourcePorts], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [line] = (await once(createInterface(relay.stdout), 'line')) as [string];
const to = UdpEndpoint.from({ address: '127.0.0.1', port: Number(line) })!;
process.stdout.write(`${JSON.stringify(load())}\n`);
relay.kill('SIGKILL');
await once(relay, 'exit');
process.exit(0);

function load(): LoadResult {
  const histogram = new Uint32Array(HISTOGRAM_US);
  const period = (FLOWS / pps) * 1000;
  // Every flow has a fixed random phase in the period; flows are sent in the order of their phases.
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
  const phases = Float64Array.from({ length: FLOWS }, () => random() * period).sort();
  const order = Array.from({ length: FLOWS }, (_, i) => i).sort(() => random() - 0.5);
  const start = performance.now() + 5;
  let next = 0;
  let cycle = 0;
  let sent = 0;
  let received = 0;
  let lost = 0;
  let lastArrival = start;
  let measuring = false;
  let before = { cpu: 0, received: 0, sent: 0, at: 0 };
  const send = (flow: number, now: number): UdpPort => {
    const port = sources[flow % SOURCES]!;
    const offset = port.reserve();
    const { view } = port.rx;
    view.setUint32(offset, 0x80000000 | (sent & 0xffff));
    view.setUint32(offset + 4, 0);
    view.setUint32(offset + 8, flow);
    view.setFloat64(offset + 12, now);
    port.stage(offset, bytes, to);
    sent++;
    return port;
  };
  for (;;) {
    const now = performance.now();
    if (!measuring && now - start >= SETTLE_MS) {
      measuring = true;
      before = { cpu: processCpuNs(relay.pid!), received, sent, at: performance.now() };
      histogram.fill(0);
    }
    if (measuring && now - before.at >= measuredMs) break;
    if (pps > 0) {
      for (let n = 0; n < 64 && start + cycle * period + phases[next]! <= now; n++) {
        send(order[next]!, now).flush();
        if (++next === FLOWS) {
          next = 0;
          cycle++;
        }
      }
    } else {
      if (now - lastArrival > 50) {
        lost = sent - received;
        lastArrival = now;
      }
      // One source port per round, so that a full batch leaves in one call.
      const room = Math.min(64, IN_FLIGHT - (sent - received - lost));
      if (room >= 16) {
        const source = cycle++ % SOURCES;
        for (let n = 0; n < room; n++) send(source, now);
        sources[source]!.flush();
      }
    }
    const n = sink.fill();
    if (n > 0) lastArrival = now;
    const arrival = performance.now();
    for (let i = 0; i < n; i++) {
      const us = (arrival - sink.rx.view.getFloat64(sink.rx.offset[i]! + 12)) * 1000;
      histogram[Math.min(HISTOGRAM_US - 1, Math.max(0, Math.floor(us)))]!++;
    }
    received += n;
  }
  const cpu = processCpuNs(relay.pid!) - before.cpu;
  const seconds = (performance.now() - before.at) / 1000;
  const delivered = received - before.received;
  const percentile = (share: number) => {
    let left = delivered * share;
    for (let us = 0; us < HISTOGRAM_US; us++) {
      left -= histogram[us]!;
      if (left <= 0) return us;
    }
    return HISTOGRAM_US;
  };
  return {
    variant,
    pps,
    bytes,
    cpuUsPerPacket: cpu / 1000 / delivered,
    deliveredPps: Math.round(delivered / seconds),
    lossPercent: Math.max(0, 100 * (1 - delivered / (sent - before.sent))),
    p50Us: percentile(0.5),
    p99Us: percentile(0.99),
  };
}
