import { callsWithBaresip } from './src/baresip-calls.ts';

// Its sound is measured by src/proof.ts; further codecs and transports are in long/calls-baresip.test.ts.
callsWithBaresip([{ codec: 'opus/48000/1', mime: 'audio/opus', transport: 'udp' }]);
