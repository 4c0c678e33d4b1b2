import { callsWithRed } from '../src/red-calls.ts';

callsWithRed(['baresip']);
