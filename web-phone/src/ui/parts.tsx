import { useEffect, useRef } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import type { Status } from '../presence.ts';
import type { Action } from '../ua/messages.ts';
import { CloseIcon, PhoneIcon, VideoIcon } from './icons.tsx';

/** Two letters on a colour that stays the same for the same name. */
export function Avatar({
  name,
  size = 'small',
  status,
}: {
  name: string;
  size?: 'small' | 'large';
  status?: Status | 'unknown';
}) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const c of name) hash = Math.imul(hash ^ c.codePointAt(0)!, 0x01000193) >>> 0;
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? words[0]![0]! + words.at(-1)![0]! : name.slice(0, /^\d+$/.test(name) ? 3 : 2);
  return (
    <span class={`avatar ${size}`} data-hue={(hash >>> 8) % 6} aria-hidden="true">
      {letters}
      {status === undefined ? null : <span class="presence" data-status={status} />}
    </span>
  );
}

/** To call one person, with pictures or without; during a call nobody else. */
export function CallButtons({ phone, peer, name }: { phone: Phone; peer: string; name: string }) {
  const busy = phone.line.inCall.value;
  return (
    <>
      <button
        type="button"
        class="icon-button"
        aria-label={`Video call with ${name}`}
        title="Video call"
        disabled={busy}
        onClick={() => void phone.dialer.dial(true, peer)}
      >
        <VideoIcon />
      </button>
      <button
        type="button"
        class="icon-button accent"
        data-testid={`call-${peer}`}
        aria-label={`Call ${name}`}
        title="Call"
        disabled={busy}
        onClick={() => void phone.dialer.dial(false, peer)}
      >
        <PhoneIcon />
      </button>
    </>
  );
}

const ACTION_LABELS: Readonly<Record<Action, string>> = {
  'call-again': 'Call again',
  'call-back': 'Call back',
  'sign-in': 'Sign in',
  'change-over': 'Sign in',
  'try-media-again': 'Try again',
  reconnect: 'Try now',
  'open-localhost': 'Open on localhost',
  'call-echo': 'Call the echo',
  'without-relay': 'Call without relay',
  'audio-only': 'With sound only',
};

/** The last words: what happened and the next step. The element is always there so that it is read out. */
export function MessageBar({ phone }: { phone: Phone }) {
  const message = phone.message.value;
  return (
    <div
      class="message-slot"
      role="status"
      aria-live="polite"
      data-testid="message"
      data-tone={message?.tone ?? 'none'}
    >
      {message ? (
        <div class="message" data-tone={message.tone}>
          <div class="message-words">
            <strong>{message.title}</strong>
            {message.detail ? <p>{message.detail}</p> : null}
          </div>
          {message.action ? (
            <button
              type="button"
              class="small-button"
              data-testid="message-action"
              onClick={() => phone.act(message.action!)}
            >
              {ACTION_LABELS[message.action]}
            </button>
          ) : null}
          {phone.canDismiss.value ? (
            <button type="button" class="icon-button quiet" aria-label="Dismiss" onClick={() => phone.dismiss()}>
              <CloseIcon />
            </button>
          ) : null}
        </div>
      ) : null}
    </div>
  );
}

interface PictureProps {
  stream: MediaStream | undefined;
  testId: string;
  label: string;
  class: string;
}

export function Picture({ stream, testId, label, class: className }: PictureProps) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (element.current) element.current.srcObject = stream ?? null;
  }, [stream]);
  return (
    <video
      ref={element}
      class={className}
      data-testid={testId}
      aria-label={label}
      autoplay
      playsinline
      muted
      hidden={!stream}
    />
  );
}

/** The sound of the far side, on the chosen loudspeaker. */
export function RemoteAudio({ phone }: { phone: Phone }) {
  const element = useRef<HTMLAudioElement>(null);
  const stream = phone.line.call.value?.remoteAudio.value;
  const speaker = phone.settings.value.speaker;
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    audio.srcObject = stream ?? null;
    if (stream) audio.play().catch(() => {});
  }, [stream]);
  useEffect(() => {
    element.current?.setSinkId?.(speaker).catch(() => {});
  }, [speaker]);
  // biome-ignore lint/a11y/useMediaCaption: a live call has no captions
  return <audio ref={element} data-testid="remote-audio" autoplay />;
}
