/** The desktop notification of a call that rings while the page is hidden; at most one. */
export class CallNotification {
  #shown: Notification | undefined;

  show(name: string): void {
    if (!document.hidden || !('Notification' in window) || Notification.permission !== 'granted') return;
    try {
      this.#shown = new Notification(`${name} is calling`, { icon: '/favicon.svg', tag: 'offhook-call' });
      this.#shown.onclick = () => window.focus();
    } catch {
      // Android allows notifications from service workers only: the title and the ringing remain.
    }
  }

  close(): void {
    this.#shown?.close();
    this.#shown = undefined;
  }
}
