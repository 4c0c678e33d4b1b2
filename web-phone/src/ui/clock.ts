import { signal } from '@preact/signals';

/** The wall clock, once a second, for everything on the page that counts. */
export const nowMs = signal(Date.now());
setInterval(() => {
  nowMs.value = Date.now();
}, 500);
