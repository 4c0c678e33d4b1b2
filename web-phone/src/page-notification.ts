/** A desktop notification of something that happens while the page is hidden; at most one of each kind. */
export class PageNotification {
  readonly #kind: string;
  #shown: Notification | undefined;

  constructor(kind: 'call' | 'text') {
    this.#kind = kind;
  }

  /** @param opened what a click does, once the page is in front */
  show(title: string, body = '', opened = (): void => {}): void {
    if (!document.hidden || !('Notification' in window) || Notification.permission !== 'granted') return;
    try {
      // Tabs of one account show the same: the tag makes one of them.
      this.#shown = new Notification(title, { body, icon: '/favicon.svg', tag: `offhook-${this.#kind}` });
      this.#shown.onclick = () => {
        window.focus();
        opened();
      };
    } catch {
      // Android allows notifications from service workers only: the title and the ringing remain.
    }
  }

  close(): void {
    this.#shown?.close();
    this.#shown = undefined;
  }
}
