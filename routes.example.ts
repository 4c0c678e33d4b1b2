// Example of a routes.ts: copy it beside offhook.config.json under that name, and try it with
//   npx offhook route alice 030123456 --file routes.ts
// What each word means stands in docs/routing.md.
import type { Routes, When } from 'offhook/routes';

/** Whose clock and calendar the times below are. */
export const zone = 'Europe/Berlin';

const OFFICE: When = { weekdays: 'mon-fri', hours: '08:00-18:00' };
const HOLIDAYS: When = { dates: ['01-01', '05-01', '10-03', '12-24..12-26'] };

export default [
  // Emergency numbers come first, so that no other rule can take them, and have a second way out.
  { name: 'emergency', source: 'user', called: ['110', '112'], do: { trunk: ['provider', 'backup'] } },

  // One form for all numbers, for the rules below: +49…
  { name: 'international', source: 'user', called: '00{number}', rewrite: { called: '+{number}' } },
  { name: 'national', source: 'user', called: '0{number}', rewrite: { called: '+49{number}' } },

  // Numbers that cost a lot: behind the rules that give all numbers one form, so that none has another way round.
  {
    name: 'premium numbers',
    called: [{ prefix: '+49900' }, { prefix: '+49137' }],
    do: { reject: 403, reason: 'premium numbers are blocked' },
  },

  // Out: by the provider, and when that fails by the other one. The company's number is shown.
  {
    name: 'out',
    source: 'user',
    called: '+{number}',
    rewrite: { caller: '+4930123450' },
    do: { trunk: ['provider', 'backup'] },
  },

  // In: at night and on holidays nobody is rung.
  {
    name: 'night',
    source: 'trunk',
    called: '+493012345{extension}',
    unless: OFFICE,
    do: { reject: 480, reason: 'we are there on weekdays from 8 to 18' },
  },
  {
    name: 'holidays',
    source: 'trunk',
    called: '+493012345{extension}',
    when: HOLIDAYS,
    do: { reject: 480, reason: 'we are closed today' },
  },

  // The main number rings the desk, then everybody in sales, then a mobile phone. That last step leads out again, which a
  // call from outside may only where it is said.
  {
    name: 'main number',
    source: 'trunk',
    called: '+4930123450',
    transit: true,
    do: [
      { ring: 'alice', forSeconds: 15 },
      { ring: ['alice', 'bob'], forSeconds: 20 },
      { trunk: 'provider', number: '+491511234567' },
    ],
  },

  // A direct number: to bob, unless he is on the phone.
  {
    name: 'bob',
    source: 'trunk',
    called: '+4930123452',
    do: async (call) => ((await call.lookup('bob')).isInCall ? { ring: 'alice' } : { ring: 'bob', forSeconds: 30 }),
  },
] satisfies Routes;
