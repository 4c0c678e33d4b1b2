import type { Phone } from '../phone.ts';
import { BackspaceIcon, PhoneIcon, VideoIcon, WaveIcon } from './icons.tsx';
import { Keypad } from './keypad.tsx';

/** The idle phone: a number, the keys, two ways to call. */
export function Dialer({ phone }: { phone: Phone }) {
  const text = phone.dialer.input.value;
  return (
    <form
      class="dialer"
      onSubmit={(event) => {
        event.preventDefault();
        void phone.dialer.dial();
      }}
    >
      <div class="dial-field">
        <input
          id="dial-input"
          data-testid="dial-input"
          type="text"
          inputMode="text"
          enterKeyHint="go"
          autocomplete="off"
          autocapitalize="off"
          autocorrect="off"
          spellcheck={false}
          maxLength={200}
          placeholder="Name or number"
          aria-label="Name or number to call"
          data-long={text.length > 14}
          value={text}
          onInput={(event) => {
            phone.dismiss();
            phone.dialer.input.value = event.currentTarget.value;
          }}
        />
      </div>
      <Keypad phone={phone} label="Dial pad" />
      <div class="dial-actions">
        <button
          type="button"
          class="round soft"
          data-testid="dial-video"
          aria-label="Call with video"
          title="Call with video"
          onClick={() => void phone.dialer.dial(true)}
        >
          <VideoIcon />
        </button>
        <button type="submit" class="round dial" data-testid="dial-call" aria-label="Call" title="Call (Enter)">
          <PhoneIcon />
        </button>
        <button
          type="button"
          class="round soft"
          data-empty={text === ''}
          aria-label="Delete the last character"
          title="Delete (Backspace)"
          disabled={text === ''}
          onClick={() => {
            phone.dialer.backspace();
          }}
        >
          <BackspaceIcon />
        </button>
      </div>
      <button type="button" class="echo-line" data-testid="call-echo-small" onClick={() => phone.act('call-echo')}>
        <WaveIcon />
        <span>Call the echo (600)</span>
      </button>
    </form>
  );
}
