import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockWords, compileWhen } from './when.ts';

const ZONE = 'Europe/Berlin';

/** [when, what time it is, whether it holds] */
const CASES: readonly [object, string, boolean][] = [
  [{ hours: '08:00-18:00' }, '2026-11-26T08:00:00+01:00', true],
  [{ hours: '08:00-18:00' }, '2026-11-26T07:59:59+01:00', false],
  [{ hours: '08:00-18:00' }, '2026-11-26T17:59:59+01:00', true],
  [{ hours: '08:00-18:00' }, '2026-11-26T18:00:00+01:00', false],
  [{ hours: ['08:00-12:00', '13:00-18:00'] }, '2026-11-26T12:30:00+01:00', false],
  [{ hours: '00:00-24:00' }, '2026-11-26T23:59:59+01:00', true],
  [{ hours: '22:00-06:00' }, '2026-11-26T23:00:00+01:00', true],
  [{ hours: '22:00-06:00' }, '2026-11-26T05:59:00+01:00', true],
  [{ hours: '22:00-06:00' }, '2026-11-26T06:00:00+01:00', false],
  // 2026-11-26 is a Thursday
  [{ weekdays: 'thu' }, '2026-11-26T12:00:00+01:00', true],
  [{ weekdays: 'mon-fri' }, '2026-11-27T12:00:00+01:00', true],
  [{ weekdays: 'mon-fri' }, '2026-11-28T12:00:00+01:00', false],
  [{ weekdays: 'sat-mon' }, '2026-11-29T12:00:00+01:00', true],
  [{ weekdays: 'sat-mon' }, '2026-11-30T12:00:00+01:00', true],
  [{ weekdays: 'sat-mon' }, '2026-12-01T12:00:00+01:00', false],
  [{ weekdays: ['mon', 'wed-thu'] }, '2026-11-25T12:00:00+01:00', true],
  [{ weekdays: ['mon', 'wed-thu'] }, '2026-11-24T12:00:00+01:00', false],
  // after midnight it is still the night that began on Friday
  [{ weekdays: 'fri', hours: '22:00-06:00' }, '2026-11-28T02:00:00+01:00', true],
  [{ weekdays: 'fri', hours: '22:00-06:00' }, '2026-11-27T02:00:00+01:00', false],
  [{ dates: '12-24', hours: '22:00-06:00' }, '2026-12-25T02:00:00+01:00', true],
  [{ dates: '2026-12-25' }, '2026-12-25T00:00:00+01:00', true],
  [{ dates: '2026-12-25' }, '2027-12-25T12:00:00+01:00', false],
  [{ dates: '12-25' }, '2027-12-25T12:00:00+01:00', true],
  [{ dates: '12-24..01-01' }, '2026-12-31T12:00:00+01:00', true],
  [{ dates: '12-24..01-01' }, '2027-01-01T23:59:00+01:00', true],
  [{ dates: '12-24..01-01' }, '2027-01-02T00:00:00+01:00', false],
  [{ dates: '2026-12-30..2027-01-02' }, '2027-01-02T12:00:00+01:00', true],
  [{ dates: ['05-01', '10-03'] }, '2026-10-03T12:00:00+02:00', true],
  [{ dates: '02-29' }, '2028-02-29T12:00:00+01:00', true],
  [{ dates: '02-29' }, '2027-03-01T12:00:00+01:00', false],
  // the zone decides which day and hour it is
  [{ hours: '08:00-18:00', zone: 'America/New_York' }, '2026-11-26T14:10:00+01:00', true],
  [{ hours: '08:00-18:00', zone: 'Asia/Tokyo' }, '2026-11-26T14:10:00+01:00', false],
  [{ weekdays: 'fri', zone: 'Pacific/Kiritimati' }, '2026-11-26T14:10:00+01:00', true],
  [{ hours: '19:30-19:45', zone: 'Asia/Kathmandu' }, '2026-11-26T14:50:00+01:00', true],
  // 2026-03-29, clocks go from 02:00 to 03:00: that hour does not happen
  [{ hours: '02:00-03:00' }, '2026-03-29T00:59:59Z', false],
  [{ hours: '02:00-03:00' }, '2026-03-29T01:00:00Z', false],
  [{ hours: '03:00-04:00' }, '2026-03-29T01:00:00Z', true],
  [{ hours: '22:00-06:00' }, '2026-03-29T03:59:59Z', true],
  [{ hours: '22:00-06:00' }, '2026-03-29T04:00:00Z', false],
  // 2026-10-25, they go from 03:00 back to 02:00: that hour happens twice
  [{ hours: '02:00-03:00' }, '2026-10-25T00:30:00Z', true],
  [{ hours: '02:00-03:00' }, '2026-10-25T01:30:00Z', true],
  [{ hours: '02:00-03:00' }, '2026-10-25T02:00:00Z', false],
  [{ weekdays: 'sat', hours: '22:00-06:00' }, '2026-10-25T04:59:59Z', true],
  [{ weekdays: 'sat', hours: '22:00-06:00' }, '2026-10-25T05:00:00Z', false],
];

for (const [when, at, holds] of CASES)
  test(`${JSON.stringify(when)} ${holds ? 'holds' : 'does not hold'} at ${at}`, () => {
    const compiled = compileWhen(when, ZONE);
    assert.ok(typeof compiled === 'object', String(compiled));
    assert.equal(compiled.holds(Date.parse(at)), holds);
  });

const WRONG: readonly [unknown, RegExp][] = [
  ['mon', /'mon' is no time/],
  [{}, /needs weekdays, hours or dates/],
  [{ zone: ZONE }, /needs weekdays, hours or dates/],
  [{ days: 'mon' }, /a time has no 'days', only weekdays, hours, dates, zone/],
  [{ weekdays: 'monday' }, /'monday' is no weekday/],
  [{ weekdays: 'mon-fri-sun' }, /is no weekday/],
  [{ weekdays: [] }, /1 to 400 entries/],
  [{ hours: '8-18' }, /'8-18' is no span of hours/],
  [{ hours: '08:00-08:00' }, /is no span of hours/],
  [{ hours: '08:60-09:00' }, /is no span of hours/],
  [{ hours: '24:00-06:00' }, /is no span of hours/],
  [{ hours: 8 }, /8 has to be a text/],
  [{ dates: '2026-02-30' }, /is no date/],
  [{ dates: '24.12.' }, /is no date/],
  [{ dates: '2026-12-24..01-01' }, /is no date/],
  [{ dates: '2026-12-24..2026-12-01' }, /ends before it begins/],
  [{ hours: '08:00-18:00', zone: 'Berlin' }, /'Berlin' is no time zone; an IANA name is meant/],
  [{ hours: '08:00-18:00', zone: 7 }, /7 is no time zone/],
];

for (const [when, words] of WRONG)
  test(`${JSON.stringify(when)} is refused in words`, () => assert.match(String(compileWhen(when, ZONE)), words));

test('the clock is told with its day and zone', () =>
  assert.equal(clockWords(Date.parse('2026-11-26T13:10:00Z'), ZONE), 'Thu 2026-11-26 14:10 in Europe/Berlin'));
