/** What a person can choose; kept per browser. */
export interface Settings {
  readonly microphone: string;
  readonly speaker: string;
  readonly camera: string;
  /** Echo cancellation, noise suppression and gain control by the browser. */
  readonly processing: boolean;
  /** All media through the TURN server. */
  readonly relayOnly: boolean;
  readonly notifications: boolean;
}

export const DEFAULT_SETTINGS: Settings = {
  microphone: '',
  speaker: '',
  camera: '',
  processing: true,
  relayOnly: false,
  notifications: false,
};

/** For tests and power users, from the address: `?ice=relay&processing=off&autoanswer=1`. Never stored. */
export interface UrlOptions {
  readonly relayOnly: boolean;
  readonly processingOff: boolean;
  readonly autoAnswer: boolean;
}

export function urlOptions(search: string): UrlOptions {
  const query = new URLSearchParams(search);
  return {
    relayOnly: query.get('ice') === 'relay',
    processingOff: query.get('processing') === 'off',
    autoAnswer: query.get('autoanswer') === '1',
  };
}

/** The one-time token of a login link: `#login=<token>`. */
export function loginToken(hash: string): string | undefined {
  return /^#(?:.*&)?login=([\w.~-]{1,512})(?:&|$)/.exec(hash)?.[1];
}

const KEY = 'offhook.settings';

export function readSettings(storage: Storage): Settings {
  try {
    const stored: unknown = JSON.parse(storage.getItem(KEY) ?? '{}');
    const known: Record<string, unknown> = { ...DEFAULT_SETTINGS };
    for (const [name, value] of Object.entries(stored ?? {}))
      if (name in known && typeof value === typeof known[name]) known[name] = value;
    return known as unknown as Settings;
  } catch {
    return DEFAULT_SETTINGS;
  }
}

export function writeSettings(storage: Storage, settings: Settings): void {
  storage.setItem(KEY, JSON.stringify(settings));
}
