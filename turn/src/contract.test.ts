import { test } from 'node:test';
import { batchedUdpProblem } from '@offhook/core/node';
import { turnContract } from './testkit/contract.ts';
import { coturnSkip, coturnWorlds } from './testkit/coturn.ts';
import { realWorld, threadsWorld } from './testkit/real.ts';
import { VirtualWorld } from './testkit/virtual.ts';

const ON_A_STREAM = {
  'garbage, truncated and oversized datagrams are dropped on every port, and the next request works':
    'on a stream garbage ends the connection: shell/streams.test.ts',
};

/** Measured with 4.6.1. */
const COTURN = {
  'unsigned requests get the smallest answers: 28 and 96 bytes':
    'coturn challenges a bare Allocate too, always with a reason phrase: 80 bytes; it has no PASSWORD-ALGORITHMS',
  'empty datagrams pass both ways, and padding is of zeros': 'coturn pads with what its buffer held before',
  'Refresh to 0 ends the allocation: 437 for all that follows, and a new one can be had':
    'coturn deletes the allocation a moment later and grants a Refresh until then',
  'CreatePermission and ChannelBind without an allocation are 437': 'coturn answers 400 to these',
  'an allocation that has ended makes room in the quota at once': 'coturn counts it until its session is closed',
  'a RESERVATION-TOKEN that nobody was given is 508': 'coturn answers 404, which is no code of TURN',
  'a client that chooses SHA-256 is answered with MESSAGE-INTEGRITY-SHA256': 'coturn has SHA-1 only',
  'attributes behind the integrity don’t exist': 'coturn before 4.15 obeys a LIFETIME appended on the way',
};

turnContract('virtual network', async (options) => new VirtualWorld(options));
turnContract('sockets (node:dgram)', (options) => realWorld({ ...options, implementation: 'dgram' }));
if ((await batchedUdpProblem()) === undefined) {
  turnContract('sockets (recvmmsg)', (options) => realWorld(options));
  turnContract('two threads', threadsWorld);
}
turnContract('TCP', (options) => realWorld({ ...options, transport: 'tcp' }), ON_A_STREAM);
turnContract('TLS', (options) => realWorld({ ...options, transport: 'tls' }), ON_A_STREAM);

if (coturnSkip !== false) test('coturn', { skip: coturnSkip }, () => {});
else {
  turnContract('coturn over UDP', coturnWorlds('udp'), COTURN);
  turnContract('coturn over TLS', coturnWorlds('tls'), { ...COTURN, ...ON_A_STREAM });
  turnContract('coturn over TCP', coturnWorlds('tcp'), { ...COTURN, ...ON_A_STREAM });
}
