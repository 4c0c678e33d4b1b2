import { gatherPackets, runPart } from '@offhook/core/node';
import { type MediaRelayConfig, startMediaRelay } from '@offhook/media-relay';
import { type SignalingConfig, startSignaling } from '@offhook/signaling';

/**
 * A part as its own `main.ts` starts it, with one verb more: `collect`, which collects garbage (`--expose-gc`) so that
 * memory can be compared. `part.ts <signaling|media-relay> --config <file.json>`
 */
const [part] = process.argv.splice(2, 1);

function collect(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage();
}

if (part === 'signaling')
  await runPart<SignalingConfig>(async (config) => {
    const running = await startSignaling(config);
    return { ...running, verbs: { ...running.verbs, collect } };
  });
else
  await runPart<MediaRelayConfig>(async (config) => {
    await gatherPackets(500);
    return startMediaRelay(config);
  });
