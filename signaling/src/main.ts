import { runPart } from '@offhook/core/node';
import type { SignalingConfig } from './config.ts';
import { startSignaling } from './server/server.ts';

await runPart<SignalingConfig>((config) => startSignaling(config));
