import { runPart } from '@offhook/core/node';
import { startTurn } from './start.ts';

await runPart(startTurn);
