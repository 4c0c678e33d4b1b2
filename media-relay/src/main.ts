import { gatherPackets, runPart, shortTimeSlices } from '@offhook/core/node';
import { type MediaRelayConfig, startMediaRelay } from './worker.ts';

/** Under load packets are read in bunches this far apart: half the CPU time for at most 0.35 ms (docs/packet-loop.md). */
const GATHER_US = 350;

await runPart<MediaRelayConfig>(async (config) => {
  await gatherPackets(GATHER_US);
  await shortTimeSlices();
  return startMediaRelay(config);
});
