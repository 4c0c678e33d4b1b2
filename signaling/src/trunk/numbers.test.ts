import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NumberPlan, type NumberSettings } from './numbers.ts';

const DE: NumberSettings = { country: '49' };
const US: NumberSettings = { country: '1' };
const UK: NumberSettings = { country: '44' };
const FR: NumberSettings = { country: '33', format: 'national' };
const IT: NumberSettings = { country: '39', nationalPrefix: '' };

const DIALLED: readonly (readonly [NumberSettings, string, string | undefined])[] = [
  [DE, '030 123-456', '+4930123456'],
  [DE, '0049 30 123456', '+4930123456'],
  [DE, '+49 (30) 123456', '+4930123456'],
  [DE, '0044 20 7946 0000', '+442079460000'],
  [DE, '110', '110'],
  [DE, '11833', '11833'],
  [DE, '*21#', '*21#'],
  [DE, '4930123456', '4930123456'], // a person who leaves the plus away dials a local number
  [US, '(212) 555-0100', '+12125550100'],
  [US, '1 212 555 0100', '+12125550100'],
  [US, '011 49 30 123456', '+4930123456'],
  [US, '911', '911'],
  [US, '5550100', '5550100'],
  [UK, '020 7946 0000', '+442079460000'],
  [UK, '999', '999'],
  [FR, '01 99 00 12 34', '+33199001234'],
  [FR, '0033199001234', '+33199001234'],
  [IT, '06 1234567', '+39061234567'],
  [IT, '112', '112'],
  [{}, '030123456', '030123456'],
  [DE, '+49', '+49'],
  [DE, '+', undefined],
  [DE, '', undefined],
  [DE, '+1234567890123456', undefined], // 16 digits
  [DE, 'alice', undefined],
  [DE, '030;ext=1', undefined],
  [DE, `0${'1'.repeat(40)}`, undefined],
];
for (const [settings, number, wanted] of DIALLED)
  test(`+${settings.country ?? '?'}: '${number.slice(0, 20)}' dialled is ${wanted}`, () => {
    assert.equal(new NumberPlan(settings).fromDialled(number), wanted);
  });

const TOLD: readonly (readonly [NumberSettings, string, string])[] = [
  [DE, '+4930123456', '+4930123456'],
  [DE, '004930123456', '+4930123456'],
  [DE, '4930123456', '+4930123456'],
  [DE, '030123456', '+4930123456'],
  [{ ...DE, format: 'digits' }, '442079460000', '+442079460000'],
  [DE, '442079460000', '442079460000'],
  [DE, '110', '110'],
  [US, '12125550100', '+12125550100'],
  [US, '2125550100', '+12125550100'],
  [UK, '442079460000', '+442079460000'],
  [UK, '02079460000', '+442079460000'],
  [FR, '0199001234', '+33199001234'],
  [FR, '33199001234', '+33199001234'],
  [DE, 'anonymous', 'anonymous'],
  [DE, '', ''],
  [{}, '4930123456', '4930123456'],
];
for (const [settings, number, wanted] of TOLD)
  test(`+${settings.country ?? '?'} ${settings.format ?? ''}: the trunk's '${number}' is '${wanted}'`, () => {
    assert.equal(new NumberPlan(settings).fromTrunk(number), wanted);
  });

const WRITTEN: readonly (readonly [NumberSettings, string, string])[] = [
  [DE, '+4930123', '+4930123'],
  [{ ...DE, format: 'digits' }, '+4930123', '4930123'],
  [{ ...DE, format: 'national' }, '+4930123', '030123'],
  [{ ...DE, format: 'national' }, '+33199001234', '0033199001234'],
  [{ ...US, format: 'national' }, '+12125550100', '12125550100'],
  [{ ...US, format: 'national' }, '+4930123', '0114930123'],
  [{ ...UK, format: 'national' }, '+442079460000', '02079460000'],
  [FR, '+33199001234', '0199001234'],
  [{ ...DE, format: 'national' }, '110', '110'],
];
for (const [settings, number, wanted] of WRITTEN)
  test(`+${settings.country} ${settings.format ?? ''}: ${number} is written ${wanted}`, () => {
    assert.equal(new NumberPlan(settings).toTrunk(number), wanted);
  });

test('what is wrong with settings is said in words', () => {
  assert.deepEqual(
    NumberPlan.problems({ country: '0', nationalPrefix: 'a', nationalDigits: 2, format: 'x' as 'e164' }),
    [
      "country: a country code like '49'",
      'nationalPrefix: up to five digits',
      'nationalDigits: from 4 to 14',
      "format: 'e164', 'national' or 'digits'",
    ],
  );
  assert.deepEqual(NumberPlan.problems({ format: 'national' }), ['country: needed for the national format']);
});

test('what is written for a trunk is read as the same number, in every form and country', () => {
  const settings = fc.record({
    country: fc.constantFrom('49', '1', '44', '33', '7'),
    format: fc.constantFrom('e164' as const, 'national' as const, 'digits' as const),
  });
  const number = fc.tuple(fc.constantFrom('49', '1', '44', '33', '351'), fc.stringMatching(/^[2-9]\d{9}$/));
  fc.assert(
    fc.property(settings, number, (how, [country, rest]) => {
      const plan = new NumberPlan(how);
      assert.equal(plan.fromTrunk(plan.toTrunk(`+${country}${rest}`)), `+${country}${rest}`);
    }),
  );
});

test('no text throws, and nothing but digits, plus, * and # is dialled', () => {
  const plans = [DE, US, UK, FR, IT, {}].map((settings) => new NumberPlan(settings));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[+0-9 ()*#-]{0,40}$/)), (text) => {
      for (const plan of plans) {
        plan.toTrunk(plan.fromTrunk(text));
        assert.match(plan.fromDialled(text) ?? '+1', /^\+?[0-9*#]{1,32}$/);
      }
    }),
  );
});
