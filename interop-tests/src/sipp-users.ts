import type { SippOptions } from './sipp.ts';
import { System, scratchFolder } from './system.ts';

/** A system with a caller `tester` and a phone `desk`, both SIPp's. */
export class SippUsers {
  readonly system: System;
  readonly folder: string;
  readonly #remove: () => void;

  private constructor(system: System, folder: { path: string; remove(): void }) {
    this.system = system;
    this.folder = folder.path;
    this.#remove = () => folder.remove();
  }

  static async start(): Promise<SippUsers> {
    const folder = scratchFolder();
    const system = await System.start({ folder: folder.path });
    await system.addUser('tester', PASSWORDS.tester);
    await system.addUser('desk', PASSWORDS.desk);
    return new SippUsers(system, folder);
  }

  /** What SIPp has to be told to be one of them. */
  as(user: 'tester' | 'desk'): Pick<SippOptions, 'folder' | 'server' | 'user' | 'password' | 'domain'> {
    const { folder, system } = this;
    const server = `127.0.0.1:${system.ports.udp}`;
    return { folder, server, user, password: PASSWORDS[user], domain: system.domain };
  }

  async stop(): Promise<void> {
    await this.system.stop();
    this.#remove();
  }
}

const PASSWORDS = { tester: 'correct-Horse-7', desk: 'correct-Horse-8' } as const;
