import { join } from 'node:path';
import type { PartSpec } from '../supervisor/spec.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

// A supervisor over fake parts as a process of its own, so that a test can kill it: supervise.ts <data> <settings>
const [data = '', extra = '{}'] = process.argv.slice(2);
const more = JSON.parse(extra) as Record<string, Record<string, unknown>>;

function fake(name: string, needs: readonly string[]): PartSpec {
  return {
    name,
    entry: join(import.meta.dirname, 'fake-part.ts'),
    needs,
    settings: (ports) => ({
      port: 0,
      needed: needs.map((other) => ports.get(other)?.tcp),
      ...more[name],
    }),
    withPorts: (settings, ports) => ({ ...settings, port: ports.tcp }),
  };
}

const supervisor = new Supervisor({
  data,
  parts: [fake('first', []), fake('second', ['first']), fake('third', ['second'])],
  say: (line) => process.stdout.write(`${line}\n`),
});
process.on('SIGTERM', async () => {
  await supervisor.stop();
  process.stdout.write('stopped\n');
  process.exit(0);
});
try {
  await supervisor.start();
  process.stdout.write('all ready\n');
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  await supervisor.stop();
  process.exit(1);
}
