import { batchedUdpProblem } from '@offhook/core/node';
import { turnContract } from './testkit/contract.ts';
import { realWorld } from './testkit/real.ts';
import { VirtualWorld } from './testkit/virtual.ts';

turnContract('virtual network', async (options) => new VirtualWorld(options));
turnContract('sockets (node:dgram)', (options) => realWorld('dgram', options));
if ((await batchedUdpProblem()) === undefined) {
  turnContract('sockets (recvmmsg)', (options) => realWorld('auto', options));
}
