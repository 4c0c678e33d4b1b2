import { callsWithRed } from './src/red-calls.ts';

// Its sound is measured by src/proof.ts; the other direction is in long/red.test.ts.
callsWithRed(['Chromium']);
