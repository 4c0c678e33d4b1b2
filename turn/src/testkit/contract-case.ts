import type { TestContext } from 'node:test';
import { StunAttribute, type StunMessage, StunMethod, type StunWriter } from '@offhook/core';
import { TestClient, transport } from './client.ts';
import type { ContractOptions, TestSocket, World } from './world.ts';

export type Write = (writer: StunWriter) => unknown;

/** A world and its clients; every case has users of its own, since a server may go on to the next case. */
export class Stage {
  readonly world: World;
  readonly test: TestContext;
  readonly #case: number;

  constructor(world: World, number: number, test: TestContext) {
    this.world = world;
    this.test = test;
    this.#case = number;
  }

  async client(user = 'alice', options: ConstructorParameters<typeof TestClient>[2] = {}): Promise<TestClient> {
    return this.at(await this.world.client(), user, options);
  }

  /** Another user at the same socket. */
  at(socket: TestSocket, user: string, options: ConstructorParameters<typeof TestClient>[2] = {}): TestClient {
    return new TestClient(socket, this.world.listener, { user: `${user}-${this.#case}`, ...options });
  }
}

export interface Case {
  readonly title: string;
  readonly options: ContractOptions;
  readonly run: (stage: Stage) => Promise<void>;
}

export const CASES: Case[] = [];

export function within(title: string, run: (stage: Stage) => Promise<void>, options: ContractOptions = {}): void {
  CASES.push({ title, run, options });
}

export const family = (value: number) => (w: StunWriter) => w.u32(StunAttribute.requestedAddressFamily, value << 24);
export const evenPort = (bits: number) => (w: StunWriter) => w.bytes(StunAttribute.evenPort, new Uint8Array([bits]));

export function allocating(...more: readonly Write[]): Write {
  return (writer) => {
    transport(writer);
    for (const write of more) write(writer);
  };
}

export function allocate(client: TestClient, ...more: readonly Write[]): Promise<StunMessage> {
  return client.request(StunMethod.allocate, allocating(...more));
}
