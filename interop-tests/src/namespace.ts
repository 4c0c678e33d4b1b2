import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A network namespace with loopback, one veth address and a default route: what Firefox, baresip and linphone need for
 * ICE, because none of them offers loopback candidates. Root only; `remove` takes it away again.
 */
export class Namespace {
  readonly name: string;
  readonly address = '10.99.0.1';
  /** What that address is called in there. */
  readonly hostName = 'sip.example.test';
  /** What `ip netns exec` lays over /etc. */
  readonly #etc: string;
  readonly #far: string;

  private constructor(name: string) {
    this.name = name;
    this.#far = `${name}far`;
    this.#etc = `/etc/netns/${name}`;
  }

  static create(): Namespace {
    const space = new Namespace(`oh${process.pid}`);
    const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    ip('netns', 'add', space.name);
    ip('netns', 'add', space.#far);
    ip('-n', space.name, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    ip('-n', space.name, 'link', 'set', 'v1', 'netns', space.#far);
    ip('-n', space.name, 'addr', 'add', `${space.address}/24`, 'dev', 'v0');
    ip('-n', space.#far, 'addr', 'add', '10.99.0.2/24', 'dev', 'v1');
    for (const [name, link] of [
      [space.name, 'v0'],
      [space.#far, 'v1'],
    ] as const) {
      ip('-n', name, 'link', 'set', 'lo', 'up');
      ip('-n', name, 'link', 'set', link, 'up');
    }
    ip('-n', space.name, 'route', 'add', 'default', 'via', '10.99.0.2');
    mkdirSync(space.#etc, { recursive: true });
    writeFileSync(
      join(space.#etc, 'hosts'),
      `${readFileSync('/etc/hosts', 'utf8')}\n${space.address} ${space.hostName}\n`,
    );
    return space;
  }

  /**
   * Runs a module of this folder with Node inside the namespace and answers the JSON of its last line of output;
   * rejects with all it printed when it fails.
   */
  async run(module: URL, args: readonly string[], withinS = 180): Promise<unknown> {
    const child = spawn(
      'timeout',
      ['-s', 'KILL', String(withinS), 'ip', 'netns', 'exec', this.name, process.execPath, module.pathname, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let out = '';
    let err = '';
    child.stdout.on('data', (d: Buffer) => {
      out += d.toString();
    });
    child.stderr.on('data', (d: Buffer) => {
      err += d.toString();
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`${module.pathname} ended with ${code} in the namespace:\n${out}\n${err}`);
    return JSON.parse(out.trim().split('\n').at(-1) ?? 'null');
  }

  remove(): void {
    execFileSync('ip', ['netns', 'del', this.name]);
    execFileSync('ip', ['netns', 'del', this.#far]);
    rmSync(this.#etc, { recursive: true, force: true });
  }
}

export interface NullSink {
  readonly env: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

/** A PulseAudio server with nothing but a null sink; Firefox's AudioContext runs only when there is a sink. */
export async function nullSink(folder: string): Promise<NullSink> {
  const home = join(folder, 'pulse');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const env = { ...process.env, XDG_RUNTIME_DIR: home, HOME: home };
  const child = spawn(
    'pulseaudio',
    [
      '-n',
      '--daemonize=no',
      '--exit-idle-time=-1',
      '--disallow-exit',
      '-L',
      'module-null-sink sink_name=out',
      '-L',
      'module-native-protocol-unix',
    ],
    { env, stdio: 'ignore' },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    env,
    stop: () => {
      child.kill('SIGKILL');
      return exited;
    },
  };
}
