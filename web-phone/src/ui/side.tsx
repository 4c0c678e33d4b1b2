import { outcomeWords, type PastCall } from '../history.ts';
import { ECHO, type Phone } from '../phone.ts';
import { presenceWords } from '../presence.ts';
import type { Person } from '../session.ts';
import { lastAtMs, unreadCount } from '../text/conversation.ts';
import { IncomingIcon, OutgoingIcon, PhoneIcon, TextIcon, VideoIcon, WaveIcon } from './icons.tsx';
import { Conversation } from './lazy-conversation.tsx';
import { Avatar, CallButtons } from './parts.tsx';

/** Whom to call and whom was called; or one conversation. */
export function Side({ phone }: { phone: Phone }) {
  const peer = phone.texts.shown.value;
  if (peer !== undefined) return <Conversation phone={phone} peer={peer} />;
  return (
    <>
      <EchoCard phone={phone} />
      <People phone={phone} />
      <Recent phone={phone} />
    </>
  );
}

/** The first thing to try: a call that needs nobody else. After the first call it is one of the people. */
function EchoCard({ phone }: { phone: Phone }) {
  if (hasTalked(phone)) return null;
  return (
    <section class="echo-card">
      <div>
        <h2>Try it alone</h2>
        <p>The echo plays back what you say: microphone, loudspeaker and the way in between, tested in one call.</p>
      </div>
      <button
        type="button"
        class="button"
        data-testid="call-echo"
        disabled={phone.line.inCall.value}
        onClick={() => phone.act('call-echo')}
      >
        <WaveIcon />
        Call the echo (600)
      </button>
    </section>
  );
}

function People({ phone }: { phone: Phone }) {
  const people = phone.account.people.value;
  const known = phone.account.peopleKnown.value;
  const strangers = strangersOf(phone);
  return (
    <section class="list" aria-labelledby="people-title" data-testid="people">
      <h2 id="people-title">People</h2>
      {people.length === 0 ? (
        <p class="empty">
          {known ? 'Nobody else has an account yet. Add one with “offhook user add <name>”.' : 'Loading…'}
        </p>
      ) : null}
      {people.length > 0 || strangers.length > 0 || hasTalked(phone) ? (
        <ul>
          {people.map((person) => (
            <PersonRow key={person.user} phone={phone} person={person} />
          ))}
          {strangers.map((peer) => (
            <StrangerRow key={peer} phone={phone} peer={peer} />
          ))}
          {hasTalked(phone) ? <EchoRow phone={phone} /> : null}
        </ul>
      ) : null}
    </section>
  );
}

function PersonRow({ phone, person }: { phone: Phone; person: Person }) {
  const known = phone.account.peopleKnown.value;
  const { user, displayName } = person;
  return (
    <li class="row" data-testid={`person-${user}`} data-status={known ? person.status : 'unknown'}>
      <Avatar name={displayName} status={known ? person.status : 'unknown'} />
      <span class="row-words">
        <strong>{displayName}</strong>
        <small class="two-lines" title={person.note}>
          {known ? presenceWords(person) : 'Not known right now'}
          {displayName === user || person.note ? '' : ` · ${user}`}
        </small>
      </span>
      <TextButton phone={phone} peer={user} name={displayName} />
      <CallButtons phone={phone} peer={user} name={displayName} />
    </li>
  );
}

/** Somebody who has written and is not one of the people here. */
function StrangerRow({ phone, peer }: { phone: Phone; peer: string }) {
  const name = phone.textName(peer);
  return (
    <li class="row" data-testid={`person-${peer}`}>
      <Avatar name={name} />
      <span class="row-words">
        <strong>{name}</strong>
        <small>{peer}</small>
      </span>
      <TextButton phone={phone} peer={peer} name={name} />
      <CallButtons phone={phone} peer={peer} name={name} />
    </li>
  );
}

function strangersOf(phone: Phone): string[] {
  const people = new Set(phone.account.people.value.map(({ user }) => user));
  return [...phone.texts.conversations.value.values()]
    .filter(({ peer, texts }) => texts.length > 0 && !people.has(peer))
    .sort((a, b) => lastAtMs(b) - lastAtMs(a))
    .map(({ peer }) => peer);
}

function TextButton({ phone, peer, name }: { phone: Phone; peer: string; name: string }) {
  const conversation = phone.texts.conversations.value.get(peer);
  const unread = conversation ? unreadCount(conversation) : 0;
  return (
    <button
      type="button"
      class="icon-button"
      id={`text-${peer}`}
      data-testid={`text-${peer}`}
      aria-label={unread ? `Messages with ${name}, ${unread} unread` : `Write to ${name}`}
      title="Messages"
      onClick={() => phone.texts.show(peer)}
    >
      <TextIcon />
      {unread ? (
        <span class="badge" data-testid={`unread-${peer}`}>
          {unread}
        </span>
      ) : null}
    </button>
  );
}

function EchoRow({ phone }: { phone: Phone }) {
  return (
    <li class="row" data-kind="echo">
      <span class="direction">
        <WaveIcon />
      </span>
      <span class="row-words">
        <strong>Echo test</strong>
        <small>{ECHO}</small>
      </span>
      <button
        type="button"
        class="icon-button accent"
        data-testid={`call-${ECHO}`}
        aria-label="Call the echo test"
        title="Call"
        disabled={phone.line.inCall.value}
        onClick={() => phone.act('call-echo')}
      >
        <PhoneIcon />
      </button>
    </li>
  );
}

function hasTalked(phone: Phone): boolean {
  return phone.line.history.value.some((past) => past.outcome === 'talked');
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function Recent({ phone }: { phone: Phone }) {
  const history = phone.line.history.value;
  return (
    <section class="list" aria-labelledby="recent-title" data-testid="history">
      <h2 id="recent-title">Recent</h2>
      {history.length === 0 ? (
        <p class="empty">Calls made in this tab appear here.</p>
      ) : (
        <ul>
          {history.map((call) => (
            <RecentRow key={call.atMs} phone={phone} call={call} />
          ))}
        </ul>
      )}
    </section>
  );
}

function RecentRow({ phone, call }: { phone: Phone; call: PastCall }) {
  const incoming = call.direction === 'incoming';
  return (
    <li class="row" data-outcome={call.outcome}>
      <span class="direction">{incoming ? <IncomingIcon /> : <OutgoingIcon />}</span>
      <span class="row-words">
        <strong>{call.name}</strong>
        <small>
          {incoming ? 'Incoming' : 'Outgoing'} · {outcomeWords(call)}
        </small>
      </span>
      <time dateTime={new Date(call.atMs).toISOString()}>{TIME.format(call.atMs)}</time>
      <button
        type="button"
        class="icon-button accent"
        aria-label={`Call ${call.name} again`}
        title="Call again"
        disabled={phone.line.inCall.value}
        onClick={() => void phone.dialer.dial(call.video, call.uri)}
      >
        {call.video ? <VideoIcon /> : <PhoneIcon />}
      </button>
    </li>
  );
}
