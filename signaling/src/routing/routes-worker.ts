import { registerHooks } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { Desk } from './desk.ts';
import { lineOfRule, loadWords } from './place.ts';
import { type CompiledRule, compileRules, namedBy } from './rules.ts';
import type { FromThread, Sources, ThreadData, ToThread } from './thread-messages.ts';
import { isZone, systemZone } from './when.ts';

// The thread that runs the user's routes: whatever they do — loop, throw, exit, eat memory — ends here.

const { url, at, decideMs, sources: kept } = workerData as ThreadData;
const port = parentPort!;
const post = (message: FromThread) => port.postMessage(message);
const loadedFiles = new Map<string, { format: string; source?: string }>();
const MAX_FILES = 1000;
/** Characters of source that are kept. */
const MAX_SOURCE = 4_000_000;

// Remembers every file that is loaded: they are watched, and run again as they were when this thread has to be replaced.
let room = MAX_SOURCE;
registerHooks({
  load: (file, context, next) => {
    const again = kept?.get(file);
    const loaded =
      again?.source === undefined ? next(file, context) : { ...again, source: again.source, shortCircuit: true };
    if (file.startsWith('file:') && !file.includes('/node_modules/') && loadedFiles.size < MAX_FILES) {
      const { source } = loaded;
      const text = typeof source === 'string' ? source : source && new TextDecoder().decode(source);
      room -= text?.length ?? 0;
      loadedFiles.set(file, { format: loaded.format ?? 'module', source: room < 0 ? undefined : text });
    }
    return loaded;
  },
});

const loaded = await load();
const sources: Sources = loadedFiles;
if ('problems' in loaded) {
  post({ kind: 'unusable', problems: loaded.problems, sources });
} else {
  const { rules, zone } = loaded;
  const desk = new Desk({ rules, zone, decideMs, running: new Int32Array(at), post });
  port.on('message', (message: ToThread) => desk.handle(message));
  post({ kind: 'loaded', rules: rules.map(({ name }) => name), named: namedBy(rules), sources });
}

async function load(): Promise<{ rules: CompiledRule[]; zone: string } | { problems: string[] }> {
  let exported: { default?: unknown; zone?: unknown };
  try {
    exported = (await import(url)) as typeof exported;
  } catch (error) {
    const last = [...loadedFiles.keys()].at(-1);
    return { problems: [loadWords(error, last === undefined ? undefined : fileURLToPath(last))] };
  }
  const { zone = systemZone() } = exported;
  const file = basename(fileURLToPath(url));
  if (!isZone(zone)) return { problems: [`${file}: the exported zone is no IANA name of a time zone`] };
  const { rules, problems } = compileRules(exported.default, zone);
  if (problems.length === 0) return { rules, zone };
  const text = loadedFiles.get(url)?.source ?? '';
  return {
    problems: problems.slice(0, 50).map(({ words, rule }) => {
      const line = rule === undefined ? undefined : lineOfRule(text, rule);
      return `${file}${line === undefined ? '' : `:${line}`}: ${words}`;
    }),
  };
}
