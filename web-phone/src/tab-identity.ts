/** How one tab is told from the others of the same account. */
export interface TabIdentity {
  readonly instanceId: string;
  /** User part of its contact. */
  readonly contact: string;
}

/**
 * An instance id and contact per tab that survive a reload. A duplicated tab copies sessionStorage: the lock tells the
 * copy that its id is taken.
 */
export async function tabIdentity(): Promise<TabIdentity> {
  const stored = sessionStorage.getItem('offhook.instance');
  const instanceId = stored && (await claim(stored)) ? stored : newUuid();
  if (instanceId !== stored) {
    sessionStorage.setItem('offhook.instance', instanceId);
    await claim(instanceId);
  }
  return { instanceId, contact: `w${instanceId.replaceAll('-', '').slice(0, 11)}` };
}

function claim(instanceId: string): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks
      .request(`offhook.${instanceId}`, { ifAvailable: true }, (lock) => {
        resolve(lock !== null || claimed.has(instanceId));
        if (!lock) return undefined;
        claimed.add(instanceId);
        return new Promise<void>(() => {}); // held until the page goes
      })
      .catch(() => resolve(true));
  });
}

const claimed = new Set<string>();

/** RFC 9562 4; `crypto.randomUUID` is missing outside of secure contexts. */
export function newUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 15) | 64;
  bytes[8] = (bytes[8]! & 63) | 128;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
