import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** The first load, compressed: a phone must open at once also on a mobile line. */
const FIRST_LOAD_LIMIT_BYTES = 90 * 1024;
/** With everything that is fetched once the phone stands. */
const WHOLE_LIMIT_BYTES = 95 * 1024;

function firstLoadLimit(): Plugin {
  return {
    name: 'first-load-limit',
    apply: 'build',
    writeBundle(_options, bundle) {
      const later = new Set<string>();
      for (const [name, file] of Object.entries(bundle)) {
        if (file.type !== 'chunk' || !file.isDynamicEntry) continue;
        later.add(name);
        for (const style of file.viteMetadata?.importedCss ?? []) later.add(style);
      }
      let first = 0;
      let whole = 0;
      for (const [name, file] of Object.entries(bundle)) {
        if (name.endsWith('.map')) continue;
        const size = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length;
        whole += size;
        if (!later.has(name)) first += size;
      }
      const kb = (bytes: number) => `${(bytes / 1024).toFixed(1)} KB`;
      const words = `first load ${kb(first)} gzip, limit ${kb(FIRST_LOAD_LIMIT_BYTES)}; all ${kb(whole)}, limit ${kb(WHOLE_LIMIT_BYTES)}`;
      if (first > FIRST_LOAD_LIMIT_BYTES || whole > WHOLE_LIMIT_BYTES) this.error(words);
      console.log(words);
    },
  };
}

/**
 * What SIP.js would use if it were not given something else: its media handler and its socket; ours take their place
 * (src/media/peer.ts, src/ua/transport.ts). And digest: the phone has no password, its session vouches for the socket.
 */
const REPLACED: readonly (readonly [path: RegExp, code: string])[] = [
  [
    /sip\.js\/lib\/platform\/web\/session-description-handler\/session-description-handler-factory-default\.js$/,
    'export const defaultSessionDescriptionHandlerFactory = () => () => { throw new Error("no media handler was given"); };',
  ],
  [/sip\.js\/lib\/platform\/web\/transport\/transport\.js$/, 'export class Transport {}'],
  [
    /sip\.js\/lib\/core\/messages\/digest-authentication\.js$/,
    'export class DigestAuthentication { authenticate() { return false; } }',
  ],
];

function withoutUnusedParts(): Plugin {
  return {
    name: 'without-unused-parts',
    load: (id) => REPLACED.find(([path]) => path.test(id.split('?', 1)[0]!))?.[1],
  };
}

export default defineConfig({
  plugins: [withoutUnusedParts(), firstLoadLimit()],
  build: {
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'], // the first with light-dark()
    assetsInlineLimit: 0, // the page's Content-Security-Policy allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
