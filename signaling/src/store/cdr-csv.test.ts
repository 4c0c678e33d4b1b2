import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cdrsAsCsv } from './cdr-csv.ts';

test('CSV: quoted where it must be, and nothing that a spreadsheet would calculate', () => {
  const csv = cdrsAsCsv([
    {
      id: 'c1',
      from: '+4930123',
      to: 'bob',
      answeredBy: '=HYPERLINK("x")',
      startedAt: 0,
      answeredAt: 1000,
      endedAt: 3500,
      status: 200,
      reason: 'said "bye",\r\nand left',
      media: 'opaque',
    },
    { id: 'c2', from: '@x', to: '-1', startedAt: 0, endedAt: 1, status: 486, reason: '\tbusy', media: 'none' },
  ]);
  assert.equal(
    csv,
    [
      'id,startedAt,answeredAt,endedAt,talkedS,from,to,answeredBy,status,reason,media',
      `c1,1970-01-01T00:00:00.000Z,1970-01-01T00:00:01.000Z,1970-01-01T00:00:03.500Z,2.500,'+4930123,bob,"'=HYPERLINK(""x"")",200,"said ""bye"",\r\nand left",opaque`,
      `c2,1970-01-01T00:00:00.000Z,,1970-01-01T00:00:00.001Z,0,'@x,'-1,,486,'\tbusy,none`,
      '',
    ].join('\r\n'),
  );
  assert.equal(cdrsAsCsv([], { withHeader: false }), '');
});
