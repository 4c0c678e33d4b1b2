import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePidf, parseReceipt, presenceWords, writePidf } from './presence.ts';
import { ON_THE_PHONE } from './testing/scripted-server.ts';

const pidf = (inside: string) =>
  `<?xml version="1.0"?><p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid">${inside}</p:presence>`;
const tuple = (basic: string) => `<p:tuple id="a"><p:status><p:basic>${basic}</p:basic></p:status></p:tuple>`;

const DOCUMENTS: readonly [string, string, string][] = [
  ['open', pidf(tuple('open')), 'available'],
  ['closed', pidf(tuple(' Closed ')), 'offline'],
  ['one of two is open', pidf(tuple('closed') + tuple('open')), 'available'],
  ['nothing said', pidf(''), 'offline'],
  ['a call', ON_THE_PHONE, 'on the phone'],
  [
    'a call counts more than being away',
    pidf(`${tuple('open')}<person><activities><away/><on-the-phone/></activities></person>`),
    'on the phone',
  ],
  [
    'an activity in the tuple',
    pidf(tuple('open').replace('</p:tuple>', '<r:activities><r:meeting/></r:activities></p:tuple>')),
    'in a meeting',
  ],
  [
    'an activity that nobody knows',
    pidf(`${tuple('open')}<activities><constructor/><juggling/></activities>`),
    'available',
  ],
  [
    'a note',
    pidf(`${tuple('open')}<p:note xml:lang="en">back\n at &lt;5&gt; &#x1F600;</p:note>`),
    'available: back at <5> 😀',
  ],
  ['comments and CDATA', pidf(`<!-- <basic>closed</basic> -->${tuple('<![CDATA[open]]>')}`), 'available'],
];

for (const [name, document, words] of DOCUMENTS)
  test(`presence, ${name}: "${words}"`, () => assert.equal(presenceWords(parsePidf(document)!), words));

const REFUSED: readonly [string, string][] = [
  ['nothing', ''],
  ['no XML', 'open'],
  ['another document', '<imdn></imdn>'],
  ['an end that is missing', '<presence><tuple>'],
  ['ends in the wrong order', '<presence><a><b></a></b></presence>'],
  ['an entity that it defines', '<!DOCTYPE presence [<!ENTITY a "aaaa">]><presence><note>&a;</note></presence>'],
  ['too deep', `<presence>${'<a>'.repeat(100)}${'</a>'.repeat(100)}</presence>`],
  ['too many elements', `<presence>${'<a/>'.repeat(2000)}</presence>`],
  ['too long', `<presence>${' '.repeat(70_000)}</presence>`],
];

for (const [name, document] of REFUSED)
  test(`presence, ${name}: no document`, () => assert.equal(parsePidf(document), undefined));

test('what is published is read back as it was meant, whatever the note holds', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.integer({ min: 0, max: 0x2fff }).map((code) => String.fromCodePoint(code)), maxLength: 50 }),
      fc.constantFrom('busy', 'away', 'available'),
      (note, status) => {
        const document = writePidf({ entity: 'sip:a&b@example.test', tuple: '1', status, note });
        const read = parsePidf(document);
        assert.ok(read?.isThere);
        assert.deepEqual(read.activities, status === 'available' ? [] : [status]);
        const kept = note
          .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
          .replace(/\s+/g, ' ')
          .trim();
        assert.equal(read.note, kept);
      },
    ),
  );
});

test('receipts name the message and what became of it', () => {
  const imdn = (inside: string) =>
    `<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id> 34jk </message-id>${inside}</imdn>`;
  const of = (kind: string, status: string) =>
    imdn(`<${kind}-notification><status><${status}/></status></${kind}-notification>`);
  assert.deepEqual(parseReceipt(of('delivery', 'delivered')), { messageId: '34jk', outcome: 'delivered' });
  assert.deepEqual(parseReceipt(of('delivery', 'failed')), { messageId: '34jk', outcome: 'failed' });
  assert.deepEqual(parseReceipt(of('display', 'displayed')), { messageId: '34jk', outcome: 'displayed' });
  assert.equal(parseReceipt(of('delivery', 'eaten')), undefined);
  assert.equal(parseReceipt(imdn('')), undefined);
  assert.equal(
    parseReceipt('<imdn><delivery-notification><status><delivered/></status></delivery-notification></imdn>'),
    undefined,
  );
});
