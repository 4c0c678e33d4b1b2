import { callsWithBaresip } from '../src/baresip-calls.ts';

callsWithBaresip([
  { codec: 'pcma', mime: 'audio/PCMA', transport: 'udp' },
  { codec: 'pcmu', mime: 'audio/PCMU', transport: 'tcp' },
]);
