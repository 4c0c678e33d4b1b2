import { runPart } from '@offhook/core/node';
import { type MediaRelayConfig, startMediaRelay } from './worker.ts';

await runPart<MediaRelayConfig>(startMediaRelay);
