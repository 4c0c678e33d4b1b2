import './conversation.css';
import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import { presenceWords } from '../presence.ts';
import { emptyConversation, sendable, TEXT_LIMIT, type Text } from '../text/conversation.ts';
import { textParts } from '../text/text-parts.ts';
import { canSendAgain, dayWords, roomWords, stateWords, textTimeMs, timeWords } from '../text/text-words.ts';
import { Avatar, CallButtons } from './parts.tsx';

interface ConversationProps {
  phone: Phone;
  peer: string;
}

/** Everything written to and by one person, and the line for more. */
export function ConversationView({ phone, peer }: ConversationProps) {
  const name = phone.textName(peer);
  const known = phone.account.peopleKnown.value;
  const person = phone.account.people.value.find(({ user }) => user === peer);
  return (
    <section
      class="chat"
      aria-labelledby="chat-title"
      data-testid="conversation"
      data-peer={peer}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || event.isComposing) return;
        event.preventDefault();
        event.stopPropagation();
        leave(phone, peer);
      }}
    >
      <header class="chat-head">
        <button
          type="button"
          class="icon-button"
          data-testid="chat-back"
          aria-label="Back to everybody"
          title="Back (Escape)"
          onClick={() => leave(phone, peer)}
        >
          <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M14.5 5.5 8 12l6.5 6.5" class="line" />
          </svg>
        </button>
        <Avatar name={name} status={person && (known ? person.status : 'unknown')} />
        <span class="row-words">
          <h2 id="chat-title">{name}</h2>
          <small>{person ? (known ? presenceWords(person) : 'Not known right now') : peer}</small>
        </span>
        <CallButtons phone={phone} peer={peer} name={name} />
      </header>
      <Texts phone={phone} peer={peer} name={name} />
      <LastFailure phone={phone} peer={peer} name={name} />
      <Composer phone={phone} peer={peer} name={name} />
    </section>
  );
}

/** Back to the list, to where the conversation was opened. */
function leave(phone: Phone, peer: string): void {
  phone.texts.close();
  setTimeout(() => document.getElementById(`text-${peer}`)?.focus());
}

/** So near to the end counts as there: what comes next is scrolled to. */
const NEAR_PX = 80;

function Texts({ phone, peer, name }: ConversationProps & { name: string }) {
  const { texts } = phone.texts.conversations.value.get(peer) ?? emptyConversation(peer);
  const list = useRef<HTMLOListElement>(null);
  const atEnd = useRef(true);
  const last = texts.at(-1);
  useLayoutEffect(() => {
    const element = list.current;
    if (element && (atEnd.current || last?.state === 'waiting')) element.scrollTop = element.scrollHeight;
  });
  useEffect(() => {
    // The line below grows while one types.
    const element = list.current!;
    const observer = new ResizeObserver(() => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const now = Date.now();
  let day = '';
  return (
    <ol
      ref={list}
      class="texts"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
      tabIndex={0}
      aria-label={`Messages with ${name}`}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
      }}
    >
      {texts.length === 0 ? <li class="empty">Nothing written yet. Messages are kept in this browser.</li> : null}
      {texts.flatMap((text) => {
        const words = dayWords(textTimeMs(text), now);
        const isNew = words !== day;
        day = words;
        return [
          isNew ? (
            <li key={`day ${text.id}`} class="day">
              {words}
            </li>
          ) : null,
          <TextRow key={text.id} phone={phone} peer={peer} name={name} text={text} />,
        ];
      })}
    </ol>
  );
}

/** Read out; eyes see it below the text. */
function LastFailure({ phone, peer, name }: ConversationProps & { name: string }) {
  const last = phone.texts.conversations.value.get(peer)?.texts.at(-1);
  return (
    <p class="only-read" role="status">
      {last && canSendAgain(last) ? stateWords(last, name, true) : ''}
    </p>
  );
}

interface TextRowProps extends ConversationProps {
  name: string;
  text: Text;
}

function TextRow({ phone, peer, name, text }: TextRowProps) {
  const mine = text.state !== 'received';
  const time = textTimeMs(text);
  const words = stateWords(text, name, phone.connection.link.value.kind === 'registered');
  return (
    <li class="text" data-side={mine ? 'mine' : 'theirs'} data-state={text.state} data-testid="text">
      <span class="only-read">{mine ? 'You' : name}: </span>
      <p dir="auto">
        {textParts(text.text).map((part, i) =>
          part.kind === 'text' ? (
            part.text
          ) : (
            <a key={i} href={part.href} target="_blank" rel="noopener noreferrer" dir="ltr">
              {part.text}
            </a>
          ),
        )}
      </p>
      <small>
        <time dateTime={new Date(time).toISOString()}>{timeWords(time)}</time>
        {words ? <span class="text-state"> · {words}</span> : null}
        {canSendAgain(text) ? (
          <button
            type="button"
            class="link-button"
            data-testid="send-again"
            onClick={() => phone.texts.sendAgain(peer, text.id)}
          >
            Send again
          </button>
        ) : null}
      </small>
    </li>
  );
}

function Composer({ phone, peer, name }: ConversationProps & { name: string }) {
  const typed = useSignal(phone.texts.drafts.get(peer) ?? '');
  const field = useRef<HTMLTextAreaElement>(null);
  const length = typed.value.trim().length;
  const room = roomWords(length, TEXT_LIMIT);
  const canSend = sendable(typed.value) !== undefined;
  useEffect(() => {
    // On a phone the keyboard on the screen would cover what is to be read first.
    if (matchMedia('(hover: hover)').matches) field.current?.focus();
  }, []);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight + 2}px`;
  });
  const set = (text: string): void => {
    typed.value = text;
    if (text) phone.texts.drafts.set(peer, text);
    else phone.texts.drafts.delete(peer);
  };
  const send = (): void => {
    if (phone.texts.send(peer, typed.value)) set('');
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
        field.current?.focus();
      }}
    >
      <textarea
        ref={field}
        data-testid="composer"
        rows={1}
        placeholder={`Message to ${name}`}
        aria-label={`Message to ${name}`}
        aria-describedby="composer-room"
        aria-invalid={length > TEXT_LIMIT}
        dir="auto"
        enterkeyhint="send"
        value={typed.value}
        onInput={(event) => set(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button
        type="submit"
        class="icon-button send"
        data-testid="send"
        aria-label="Send"
        title="Send (Enter)"
        disabled={!canSend}
      >
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
          <path d="M4 12 20 4.5l-4.5 15-3.5-6z" fill="currentColor" />
        </svg>
      </button>
      <span id="composer-room" class="room" role="status" data-over={length > TEXT_LIMIT} data-testid="room">
        {room}
      </span>
    </form>
  );
}
