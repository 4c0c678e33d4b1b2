import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

const MAX_FOLDERS = 16;
const SCRIPT = /\.(?:[cm]?[jt]s|json)$/;

/** Watches files by their folders, because editors replace files by renaming; calls back when all has been quiet for a while. */
export class FilesWatch {
  readonly #onChanged: () => void;
  readonly #settleMs: number;
  readonly #folders = new Map<string, FSWatcher>();
  #names: ReadonlySet<string> = new Set();
  #others: 'ignored' | 'followed' = 'ignored';
  #settling: NodeJS.Timeout | undefined;

  constructor(settleMs: number, onChanged: () => void) {
    this.#settleMs = settleMs;
    this.#onChanged = onChanged;
  }

  /** These files from now on; and any other script beside them, where one may be missing. */
  follow(paths: readonly string[], others: 'ignored' | 'followed'): void {
    this.#names = new Set(paths.map((path) => basename(path)));
    this.#others = others;
    const wanted = new Set(paths.map((path) => dirname(path)));
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) if (this.#folders.size < MAX_FOLDERS) this.#watch(folder);
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #concerns(name: string | null): boolean {
    if (name === null || this.#names.has(name)) return true;
    return this.#others === 'followed' && SCRIPT.test(name);
  }

  #watch(folder: string): void {
    if (this.#folders.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (!this.#concerns(name)) return;
        clearTimeout(this.#settling);
        this.#settling = setTimeout(this.#onChanged, this.#settleMs).unref();
      });
      watcher.on('error', () => watcher.close()); // reload by hand remains
      this.#folders.set(folder, watcher);
    } catch {
      // the folder is gone, or there are no more inotify watches: reload by hand remains
    }
  }
}
