import { clearScreenDown, createInterface, cursorTo, moveCursor } from 'node:readline';

/** Where lines are typed and shown. */
export interface Console {
  readonly isInteractive: boolean;
  /** How wide the terminal is by now, where there is one. */
  readonly columns?: number;
  say(lines: readonly string[]): void;
  prompt(words: string): void;
  close(): void;
}

export interface ConsoleEvents {
  /** A line; the next one is read when the promise is kept. */
  line(line: string): Promise<void> | void;
  /** No further lines: Ctrl-D, the end of a file. */
  end(): void;
}

/** Commands and the names that they take, for Tab. */
export interface Completion {
  readonly commands: readonly string[];
  people(): readonly string[];
}

const MAX_HISTORY = 200;

/** A person's terminal: line editing with history; what comes in is shown above the line that is being typed. */
export function openTerminal(
  events: ConsoleEvents,
  how: { readonly history: readonly string[]; readonly completion: Completion },
): Console {
  const { stdin, stdout } = process;
  const lines = createInterface({
    input: stdin,
    output: stdout,
    terminal: true,
    historySize: MAX_HISTORY,
    history: [...how.history].slice(0, MAX_HISTORY),
    removeHistoryDuplicates: true,
    completer: (line: string) => [completed(line, how.completion), line.slice(line.lastIndexOf(' ') + 1)],
  });
  let isClosed = false;
  lines.on('line', (line) => {
    void events.line(line);
    if (!isClosed) lines.prompt();
  });
  lines.on('SIGINT', () => {
    if (lines.line === '') lines.close();
    else {
      stdout.write('^C\n');
      lines.write(null, { ctrl: true, name: 'e' });
      lines.write(null, { ctrl: true, name: 'u' });
      lines.prompt();
    }
  });
  // All of the group, or the shell would go on waiting for the process that has started this one.
  lines.on('SIGTSTP', () => {
    stdin.setRawMode(false);
    process.once('SIGCONT', () => {
      stdin.setRawMode(true);
      stdin.resume();
      lines.prompt(true);
    });
    process.kill(0, 'SIGTSTP');
  });
  lines.on('close', () => {
    if (!isClosed) events.end();
  });
  return {
    isInteractive: true,
    get columns() {
      return stdout.columns;
    },
    say: (shown) => {
      if (shown.length === 0) return;
      if (!isClosed) {
        moveCursor(stdout, 0, -lines.getCursorPos().rows);
        cursorTo(stdout, 0);
        clearScreenDown(stdout);
        // readline goes up by the rows that it believes to have written: there are none now
        (lines as unknown as { prevRows: number }).prevRows = 0;
      }
      stdout.write(`${shown.join('\n')}\n`);
      if (!isClosed) lines.prompt(true);
    },
    prompt: (words) => {
      lines.setPrompt(words);
      if (!isClosed) lines.prompt(true);
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      cursorTo(stdout, 0);
      clearScreenDown(stdout);
      lines.close();
    },
  };
}

/** How long a script's first line is waited for before the sign-in: it is there, or the script is one that answers. */
const FIRST_LINE_MS = 300;

/** The lines of standard input, of which the first one can be looked at before they are read. */
export interface Script {
  /** Undefined: there is none yet, or none at all. */
  first(): Promise<string | undefined>;
  readonly lines: AsyncIterable<string>;
  close(): void;
}

export function openScript(): Script {
  const reader = createInterface({ input: process.stdin, terminal: false });
  const all = reader[Symbol.asyncIterator]();
  const first = all.next();
  return {
    first: async () => {
      const late = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => late.resolve(undefined), FIRST_LINE_MS);
      const found = await Promise.race([first, late.promise]);
      clearTimeout(timer);
      return found?.done === false ? found.value : undefined;
    },
    lines: (async function* () {
      for (let next = await first; !next.done; next = await all.next()) yield next.value;
    })(),
    close: () => {
      reader.close();
      process.stdin.destroy();
    },
  };
}

/** A script: lines are read one after the other, and everything is printed as it comes. */
export function openPipe(events: ConsoleEvents, script: Script): Console {
  let isClosed = false;
  void (async () => {
    for await (const line of script.lines) {
      if (isClosed) return;
      await events.line(line);
    }
    if (!isClosed) events.end();
  })();
  return {
    isInteractive: false,
    say: (shown) => {
      if (shown.length > 0) process.stdout.write(`${shown.join('\n')}\n`);
    },
    prompt: () => {},
    close: () => {
      isClosed = true;
      script.close();
    },
  };
}

function completed(line: string, { commands, people }: Completion): string[] {
  if (!line.startsWith('/')) return [];
  const space = line.indexOf(' ');
  if (space < 0) return commands.filter((one) => one.startsWith(line));
  const begun = line.slice(line.lastIndexOf(' ') + 1);
  return /^\/(?:to|who|history|forget) +\S*$/.test(line) ? people().filter((one) => one.startsWith(begun)) : [];
}
