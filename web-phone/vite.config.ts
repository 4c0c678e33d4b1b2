import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** The whole first load, compressed: a phone must open at once also on a mobile line. */
const FIRST_LOAD_LIMIT_BYTES = 90 * 1024;

function firstLoadLimit(): Plugin {
  return {
    name: 'first-load-limit',
    apply: 'build',
    writeBundle(_options, bundle) {
      let total = 0;
      for (const [name, file] of Object.entries(bundle)) {
        if (name.endsWith('.map')) continue;
        total += gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length;
      }
      const words = `first load ${(total / 1024).toFixed(1)} KB gzip, limit ${FIRST_LOAD_LIMIT_BYTES / 1024} KB`;
      if (total > FIRST_LOAD_LIMIT_BYTES) this.error(words);
      console.log(words);
    },
  };
}

export default defineConfig({
  plugins: [firstLoadLimit()],
  build: {
    target: ['chrome123', 'edge123', 'firefox121', 'safari17.5'], // the first with light-dark()
    assetsInlineLimit: 0, // the page's Content-Security-Policy allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
