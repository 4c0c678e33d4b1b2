import { render } from 'preact';
import { Phone } from './phone.ts';
import { App } from './ui/app.tsx';
import { loadConversation } from './ui/lazy-conversation.tsx';

const phone = new Phone();

/** Read-only handle for tests and for the curious with a console. */
Object.defineProperty(window, 'offhook', {
  value: Object.freeze({
    peerConnections: () => phone.connection.peers(),
    diagnostics: () => phone.diagnostics(),
  }),
});

render(<App phone={phone} />, document.getElementById('app')!);
void phone.start().then(loadConversation);
