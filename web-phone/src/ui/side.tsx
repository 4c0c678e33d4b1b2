import { outcomeWords, type PastCall } from '../history.ts';
import { ECHO, type Phone } from '../phone.ts';
import { IncomingIcon, OutgoingIcon, PhoneIcon, VideoIcon, WaveIcon } from './icons.tsx';
import { Avatar } from './parts.tsx';

/** The first thing to try: a call that needs nobody else. After the first call it is one of the people. */
export function EchoCard({ phone }: { phone: Phone }) {
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

export function People({ phone }: { phone: Phone }) {
  const people = phone.account.people.value;
  const known = phone.account.peopleKnown.value;
  const busy = phone.line.inCall.value;
  return (
    <section class="list" aria-labelledby="people-title" data-testid="people">
      <h2 id="people-title">People</h2>
      {people.length === 0 ? (
        <p class="empty">
          {known ? 'Nobody else has an account yet. Add one with “offhook user add <name>”.' : 'Loading…'}
        </p>
      ) : null}
      {people.length > 0 || hasTalked(phone) ? (
        <ul>
          {people.map((person) => (
            <li key={person.user} class="row">
              <Avatar name={person.displayName} online={known ? person.online : 'unknown'} />
              <span class="row-words">
                <strong>{person.displayName}</strong>
                <small>
                  {known ? (person.online ? 'Online' : 'Offline') : 'Not known right now'}
                  {person.displayName === person.user ? '' : ` · ${person.user}`}
                </small>
              </span>
              <button
                type="button"
                class="icon-button"
                aria-label={`Video call with ${person.displayName}`}
                title="Video call"
                disabled={busy}
                onClick={() => void phone.dialer.dial(true, person.user)}
              >
                <VideoIcon />
              </button>
              <button
                type="button"
                class="icon-button accent"
                data-testid={`call-${person.user}`}
                aria-label={`Call ${person.displayName}`}
                title="Call"
                disabled={busy}
                onClick={() => void phone.dialer.dial(false, person.user)}
              >
                <PhoneIcon />
              </button>
            </li>
          ))}
          {hasTalked(phone) ? <EchoRow phone={phone} /> : null}
        </ul>
      ) : null}
    </section>
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

export function Recent({ phone }: { phone: Phone }) {
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
