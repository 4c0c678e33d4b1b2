import { useEffect, useRef } from 'preact/hooks';
import type { CallSession } from '../call-session.ts';
import type { Phone } from '../phone.ts';
import { HangUpIcon, PhoneIcon, VideoIcon } from './icons.tsx';
import { Avatar } from './parts.tsx';

/** Somebody calls: read out at once, answered by mouse, touch or key. */
export function Incoming({ phone, call }: { phone: Phone; call: CallSession }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    const typing = before instanceof HTMLInputElement && before.value !== '';
    if (!typing) box.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const busy = call.preparing.value !== undefined;
  return (
    <div class="veil">
      <div
        ref={box}
        class="incoming"
        role="alertdialog"
        aria-modal="true"
        aria-labelledby="incoming-name"
        aria-describedby="incoming-kind"
        tabIndex={-1}
        data-testid="incoming"
      >
        <div class="pulse">
          <Avatar name={call.name} size="large" />
        </div>
        <h1 id="incoming-name">{call.name}</h1>
        <p id="incoming-kind">{busy ? 'Answering…' : call.wantsVideo ? 'Incoming video call' : 'Incoming call'}</p>
        <div class="incoming-actions">
          <button type="button" class="control end" data-testid="decline" onClick={() => phone.line.decline()}>
            <span class="round">
              <HangUpIcon />
            </span>
            <span class="label">
              Decline <kbd>Esc</kbd>
            </span>
          </button>
          <button
            type="button"
            class="control"
            data-testid="answer-video"
            disabled={busy}
            onClick={() => void phone.line.answer(true)}
          >
            <span class="round">
              <VideoIcon />
            </span>
            <span class="label">
              With video <kbd>V</kbd>
            </span>
          </button>
          <button
            type="button"
            class="control accept"
            data-testid="answer"
            disabled={busy}
            onClick={() => void phone.line.answer(false)}
          >
            <span class="round">
              <PhoneIcon />
            </span>
            <span class="label">
              Answer <kbd>Enter</kbd>
            </span>
          </button>
        </div>
      </div>
    </div>
  );
}
