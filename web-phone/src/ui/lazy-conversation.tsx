import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import type { Phone } from '../phone.ts';

interface ConversationProps {
  phone: Phone;
  peer: string;
}

const view = signal<ComponentType<ConversationProps> | undefined>(undefined);
let loading = false;

/** Fetched once the phone stands, so that it opens as fast as before. */
export function loadConversation(): void {
  if (view.value || loading) return;
  loading = true;
  import('./conversation.tsx').then(
    ({ ConversationView }) => {
      view.value = ConversationView;
    },
    () => {
      loading = false; // the server is away: asked again when a conversation is opened
    },
  );
}

export function Conversation(props: ConversationProps) {
  const View = view.value;
  if (View) return <View key={props.peer} {...props} />;
  loadConversation();
  return (
    <section class="list" aria-busy="true">
      <p class="empty">Loading…</p>
      <button type="button" class="small-button" onClick={() => props.phone.texts.close()}>
        Back
      </button>
    </section>
  );
}
