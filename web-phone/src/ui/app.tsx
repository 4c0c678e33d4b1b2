import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import type { CallPhase } from '../ua/call.ts';
import { linkWords } from '../ua/messages.ts';
import { Arrivals } from './arrivals.tsx';
import { CallView } from './call-view.tsx';
import { Dialer } from './dialer.tsx';
import { BellIcon, ClockIcon, KeypadIcon, Logo, PeopleIcon, SettingsIcon } from './icons.tsx';
import { Incoming } from './incoming.tsx';
import { keyAction } from './keyboard.ts';
import { OwnStatusChoice } from './own-status.tsx';
import { MessageBar, RemoteAudio } from './parts.tsx';
import { SettingsDialog } from './settings-dialog.tsx';
import { Side } from './side.tsx';
import { SignIn } from './sign-in.tsx';

export function App({ phone }: { phone: Phone }) {
  switch (phone.screen.value) {
    case 'loading':
      return (
        <main class="loading" aria-busy="true">
          <Logo />
        </main>
      );
    case 'sign-in':
      return <SignIn phone={phone} />;
    case 'phone':
      return <PhoneScreen phone={phone} />;
    default:
      return phone.screen.value satisfies never;
  }
}

type Tab = 'keypad' | 'people' | 'recent';

function PhoneScreen({ phone }: { phone: Phone }) {
  const tab = useSignal<Tab>('keypad');
  const settings = useSignal<'all' | 'devices' | undefined>(undefined);
  const call = phone.line.call.value;
  const phase = call?.phase.value ?? 'idle';
  const talking = phase !== 'idle' && phase !== 'incoming';
  /** What is on a screen too narrow for more. */
  const view = phone.texts.shown.value !== undefined ? 'chat' : talking ? 'call' : tab.value;
  useKeyboard(phone, tab);
  useTitle(phone, phase);
  const ringing = phase === 'incoming';
  useEffect(() => {
    if (ringing) settings.value = undefined; // a call that rings comes before any dialog
  }, [ringing, settings]);
  useEffect(() => {
    // Where only one thing fits on the screen, a call comes before what was being written.
    if (talking && !matchMedia('(min-width: 56rem)').matches) phone.texts.close();
  }, [phone, talking]);
  return (
    <div class="phone" data-tab={tab.value} data-talking={talking} data-view={view}>
      <header class="top" inert={ringing}>
        <Logo />
        <span class="wordmark">Offhook</span>
        <SoundButton phone={phone} />
        <Standing phone={phone} />
        <button
          type="button"
          class="icon-button"
          data-testid="settings"
          aria-label="Settings and account"
          title="Settings"
          onClick={() => {
            settings.value = 'all';
          }}
        >
          <SettingsIcon />
        </button>
      </header>
      <main class="stage" data-phase={phase} inert={ringing}>
        <CallState phase={phase} />
        <MessageBar phone={phone} />
        {talking && call ? (
          <CallView
            key={call.startedAtMs}
            phone={phone}
            call={call}
            onDevices={() => {
              settings.value = 'devices';
            }}
          />
        ) : (
          <Dialer phone={phone} />
        )}
      </main>
      <aside class="side" inert={ringing}>
        <Side phone={phone} />
      </aside>
      <nav class="tabs" aria-label="Views" inert={ringing}>
        <TabButton tab={tab.value} name="keypad" label="Keypad" icon={<KeypadIcon />} onSelect={select} />
        <TabButton
          tab={tab.value}
          name="people"
          label="People"
          badge={phone.texts.unread.value}
          icon={<PeopleIcon />}
          onSelect={select}
        />
        <TabButton
          tab={tab.value}
          name="recent"
          label="Recent"
          badge={phone.line.missed.value}
          icon={<ClockIcon />}
          onSelect={select}
        />
      </nav>
      <Arrivals phone={phone} />
      {ringing && call ? <Incoming key={call.startedAtMs} phone={phone} call={call} /> : null}
      {settings.value && !ringing ? (
        <SettingsDialog
          phone={phone}
          part={settings.value}
          onClose={() => {
            settings.value = undefined;
          }}
        />
      ) : null}
      <RemoteAudio phone={phone} />
    </div>
  );

  function select(name: Tab): void {
    tab.value = name;
    if (name === 'recent') phone.line.missed.value = 0;
  }
}

interface TabButtonProps {
  tab: Tab;
  name: Tab;
  label: string;
  badge?: number;
  icon: preact.ComponentChildren;
  onSelect: (name: Tab) => void;
}

function TabButton({ tab, name, label, badge, icon, onSelect }: TabButtonProps) {
  return (
    <button type="button" class="tab" aria-current={tab === name ? 'page' : undefined} onClick={() => onSelect(name)}>
      {icon}
      <span>{label}</span>
      {badge ? <span class="badge">{badge}</span> : null}
    </button>
  );
}

/** Registered or not, at a glance and in words. */
function Standing({ phone }: { phone: Phone }) {
  const link = phone.connection.link.value;
  const presence = phone.account.presence.value;
  const showsStatus = link.kind === 'registered' && presence !== undefined;
  return (
    <span class="standing" data-state={link.kind} data-status={presence?.status}>
      <span class="dot" aria-hidden="true" />
      <span class="who">{phone.account.session.value?.displayName}</span>
      <span
        class={showsStatus ? 'only-read' : ''}
        data-testid="registration-state"
        data-state={link.kind}
        role="status"
      >
        {linkWords(link)}
      </span>
      {showsStatus ? <OwnStatusChoice phone={phone} /> : null}
    </span>
  );
}

function SoundButton({ phone }: { phone: Phone }) {
  if (!phone.soundBlocked.value || phone.connection.link.value.kind !== 'registered') return null;
  return (
    <button type="button" class="sound-button" data-testid="sound-blocked" onClick={() => phone.wakeSound()}>
      <BellIcon />
      No ringtone yet — click to allow it
    </button>
  );
}

const STATE_WORDS: Readonly<Record<CallPhase | 'idle', string>> = {
  idle: 'No call',
  calling: 'Calling',
  ringing: 'Ringing',
  incoming: 'Incoming call',
  active: 'In call',
  ended: 'Call ended',
};

/** For screen readers and tests; eyes see the same in the call itself. */
function CallState({ phase }: { phase: CallPhase | 'idle' }) {
  return (
    <p class="only-read" role="status" data-testid="call-state" data-state={phase}>
      {STATE_WORDS[phase]}
    </p>
  );
}

function useTitle(phone: Phone, phase: CallPhase | 'idle'): void {
  const name = phone.line.call.value?.name;
  const unread = phone.texts.unread.value;
  useEffect(() => {
    if (phase !== 'incoming') {
      const title = phase === 'idle' || phase === 'ended' ? 'Offhook' : `${name} — Offhook`;
      document.title = unread > 0 ? `(${unread}) ${title}` : title;
      return undefined;
    }
    let on = false;
    const blink = (): void => {
      on = !on;
      document.title = on ? `☎ ${name} is calling` : 'Incoming call';
    };
    blink();
    const timer = setInterval(blink, 1_000);
    return () => clearInterval(timer);
  }, [phase, name, unread]);
}

function useKeyboard(phone: Phone, tab: Signal<Tab>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (dialogIsOpen() || event.defaultPrevented || event.isComposing) return;
      const action = keyAction({
        key: event.key,
        modified: event.ctrlKey || event.metaKey || event.altKey,
        focus: focusKind(),
        phase: phone.line.call.value?.phase.value ?? 'idle',
        inputEmpty: phone.dialer.input.value === '',
      });
      if (action.kind === 'none') return;
      event.preventDefault();
      perform(phone, action);
      if (action.kind !== 'type' && action.kind !== 'backspace') return;
      tab.value = 'keypad';
      focusDialInput();
    };
    const paste = (event: ClipboardEvent): void => {
      const phase = phone.line.call.value?.phase.value ?? 'idle';
      if (dialogIsOpen() || focusKind() === 'dial-input' || focusKind() === 'other-input') return;
      if (phase !== 'idle' && phase !== 'ended') return;
      const text = event.clipboardData?.getData('text/plain').trim().slice(0, 200) ?? '';
      if (!text) return;
      phone.dismiss();
      phone.dialer.input.value = text.replace(/\s+/g, ' ');
      tab.value = 'keypad';
      focusDialInput();
    };
    addEventListener('keydown', press);
    addEventListener('paste', paste);
    return () => {
      removeEventListener('keydown', press);
      removeEventListener('paste', paste);
    };
  }, [phone, tab]);
}

function perform(phone: Phone, action: ReturnType<typeof keyAction>): void {
  switch (action.kind) {
    case 'none':
    case 'close':
      return;
    case 'type':
      phone.dialer.type(action.text);
      return;
    case 'backspace':
      phone.dialer.backspace();
      return;
    case 'clear':
      phone.dialer.input.value = '';
      phone.dismiss();
      return;
    case 'call':
      void phone.dialer.dial();
      return;
    case 'tone':
      phone.dialer.press(action.key);
      return;
    case 'answer':
      void phone.line.answer(false);
      return;
    case 'answer-video':
      void phone.line.answer(true);
      return;
    case 'decline':
      phone.line.decline();
      return;
    case 'cancel':
      phone.line.hangUp();
      return;
    case 'mute':
      phone.line.call.value?.toggleMute();
      return;
    case 'video':
      void phone.line.toggleVideo();
      return;
    default:
      action satisfies never;
  }
}

function dialogIsOpen(): boolean {
  return document.querySelector('dialog[open]') !== null;
}

/** So that Enter calls, and presses no button that had the focus. After a call the field is yet to come back. */
function focusDialInput(): void {
  const focus = (): void => document.getElementById('dial-input')?.focus();
  focus();
  setTimeout(focus);
}

function focusKind(): 'page' | 'dial-input' | 'other-input' | 'button' {
  const element = document.activeElement;
  if (element?.id === 'dial-input') return 'dial-input';
  if (
    element instanceof HTMLInputElement ||
    element instanceof HTMLSelectElement ||
    element instanceof HTMLTextAreaElement
  )
    return 'other-input';
  return element instanceof HTMLButtonElement ? 'button' : 'page';
}
