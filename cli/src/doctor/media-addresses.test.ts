import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { loadConfig } from '../config/config.ts';
import { mediaAddressFindings } from './media-addresses.ts';

test('media addresses that this host does not have are told, with the setting that names them', async () => {
  const { media } = loadConfig({}, tmpdir(), tmpdir());
  const told = async (settings: object) =>
    (await mediaAddressFindings({ media: { ...media, ...settings } })).map(({ state, words }) => `${state}: ${words}`);
  assert.deepEqual(await told({}), []);
  const foreign = await told({
    ngAddress: '192.0.2.201',
    muxAddresses: ['127.0.0.1', '192.0.2.202', { address: '192.0.2.203', advertised: '198.51.100.7' }],
    rtpInterfaces: [
      { name: 'here', address: '127.0.0.9', advertised: '198.51.100.7' },
      { name: 'there', address: '192.0.2.204' },
    ],
  });
  assert.deepEqual(foreign, [
    'bad: media.ngAddress names 192.0.2.201, no address of this host',
    'bad: media.muxAddresses names 192.0.2.202, no address of this host',
    'bad: media.muxAddresses names 192.0.2.203, no address of this host',
    'bad: media.rtpInterfaces names 192.0.2.204, no address of this host',
  ]);
});
