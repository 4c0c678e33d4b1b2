import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { NgClient } from '@offhook/core/node';
import { stopProcess } from './stop-process.ts';

/** Debian's rtpengine 10.5, forwarding in user space. */
export class Rtpengine implements AsyncDisposable {
  readonly ngPort: number;
  readonly #process: ChildProcess;
  output = '';

  private constructor(child: ChildProcess, ngPort: number) {
    this.#process = child;
    this.ngPort = ngPort;
    const note = (d: Buffer) => {
      this.output = (this.output + d.toString()).slice(-20_000);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** @param ports of NG and what rtpengine calls CLI (two), and of RTP from there on, up to `last`. */
  static async start(folder: string, ports: { ng: number; first: number; last: number }): Promise<Rtpengine> {
    const child = spawn(
      'rtpengine',
      [
        '--config-file=none', // Debian's opens ports that another rtpengine may have
        '--foreground',
        '--log-stderr',
        '--log-level=5',
        '--table=-1',
        '--num-threads=1',
        '--interface=127.0.0.1',
      ].concat(
        `--listen-ng=127.0.0.1:${ports.ng}`,
        `--listen-cli=127.0.0.1:${ports.ng + 1}`, // by default 2224, whoever has that
        `--port-min=${ports.first}`,
        `--port-max=${ports.last}`,
        `--pidfile=${join(folder, 'rtpengine.pid')}`,
      ),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const relay = new Rtpengine(child, ports.ng);
    try {
      using ng = await NgClient.open(ports.ng);
      await ng.ask({ command: 'list' });
    } catch (error) {
      await relay.stop();
      throw new Error(relay.output, { cause: error });
    }
    return relay;
  }

  stop(): Promise<void> {
    return stopProcess(this.#process);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
