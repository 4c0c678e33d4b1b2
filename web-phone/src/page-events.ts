const SLEEP_CHECK_MS = 2_000;
const SLEEP_GAP_MS = 10_000;

export interface PageEvents {
  /** The network, the page or the machine has come back: what was connected may be gone. */
  woken(): void;
  shown(): void;
  hidden(): void;
  /** Another tab has changed what this browser keeps under that key; null is everything. */
  stored(key: string | null): void;
  /** The page goes away for good. */
  left(): void;
  /** Whether leaving the page now would lose something. */
  keepsCall(): boolean;
  /** A click or key: browsers allow sound from here on. */
  gesture(): void;
  devicesChanged(): void;
  /** The part of the address behind the # changed: a link to this page was opened in its tab. */
  addressChanged(): void;
}

/** Listens to everything that happens to the page itself, for as long as it lives. */
export function watchPage(events: PageEvents): void {
  addEventListener('online', () => events.woken());
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      events.hidden();
      return;
    }
    events.woken();
    events.shown();
  });
  addEventListener('pageshow', (event) => {
    if (event.persisted) events.woken();
  });
  addEventListener('storage', ({ key, storageArea }) => {
    if (storageArea === localStorage) events.stored(key);
  });
  addEventListener('hashchange', () => events.addressChanged());
  addEventListener('pagehide', () => events.left());
  addEventListener('beforeunload', (event) => {
    if (events.keepsCall()) event.preventDefault();
  });
  for (const gesture of ['pointerdown', 'keydown'] as const)
    addEventListener(gesture, () => events.gesture(), { capture: true, passive: true });
  if (navigator.mediaDevices) navigator.mediaDevices.addEventListener('devicechange', () => events.devicesChanged());
  // No event tells that a laptop slept; a clock that jumped does.
  let last = Date.now();
  setInterval(() => {
    const now = Date.now();
    if (now - last > SLEEP_GAP_MS) events.woken();
    last = now;
  }, SLEEP_CHECK_MS);
}
