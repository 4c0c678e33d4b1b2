import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import { CloseIcon } from './icons.tsx';
import { IncomingRulesSet } from './incoming-rules.tsx';
import { OwnStatusSet } from './own-status.tsx';
import { Avatar } from './parts.tsx';
import { Toggle } from './toggle.tsx';

interface SettingsDialogProps {
  phone: Phone;
  /** During a call only its devices matter. */
  part: 'all' | 'devices';
  onClose: () => void;
}

export function SettingsDialog({ phone, part, onClose }: SettingsDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Before the next key press: it is the dialog's.
  useLayoutEffect(() => {
    dialog.current?.showModal();
    void phone.equipment.refresh();
  }, [phone]);
  const { microphones, speakers, cameras } = phone.equipment.lists.value;
  const settings = phone.settings.value;
  return (
    <dialog ref={dialog} class="settings" aria-labelledby="settings-title" onClose={onClose}>
      <header>
        <h2 id="settings-title">{part === 'all' ? 'Settings' : 'Devices'}</h2>
        <button type="button" class="icon-button quiet" aria-label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </button>
      </header>
      <fieldset>
        <legend class={part === 'all' ? '' : 'only-read'}>Devices</legend>
        <DeviceSelect
          label="Microphone"
          devices={microphones}
          value={settings.microphone}
          onChange={(microphone) => phone.change({ microphone })}
        />
        <DeviceSelect
          label="Loudspeaker"
          devices={speakers}
          value={settings.speaker}
          onChange={(speaker) => phone.change({ speaker })}
        />
        <DeviceSelect
          label="Camera"
          devices={cameras}
          value={settings.camera}
          onChange={(camera) => phone.change({ camera })}
        />
      </fieldset>
      {part === 'all' ? (
        <>
          <OwnStatusSet phone={phone} />
          <CallChoices phone={phone} />
          <IncomingRulesSet account={phone.account} />
          <AccountRow phone={phone} />
          <Diagnostics phone={phone} />
        </>
      ) : null}
    </dialog>
  );
}

function CallChoices({ phone }: { phone: Phone }) {
  const settings = phone.settings.value;
  return (
    <fieldset>
      <legend>Calls</legend>
      <Toggle
        label="Clean up my sound"
        detail="Echo, noise and volume handled by the browser"
        checked={settings.processing && !phone.options.processingOff}
        disabled={phone.options.processingOff}
        onChange={(processing) => phone.change({ processing })}
      />
      <Toggle
        label="Relay only"
        detail="All sound and video through the TURN server, for strict firewalls"
        checked={settings.relayOnly || phone.options.relayOnly}
        disabled={phone.options.relayOnly}
        onChange={(relayOnly) => phone.change({ relayOnly })}
      />
      <Toggle
        label="Notify me"
        detail="Show calls and messages while this tab is in the background"
        checked={settings.notifications}
        disabled={!('Notification' in window)}
        onChange={(notifications) => phone.change({ notifications })}
      />
    </fieldset>
  );
}

/** Signing out ends a call, so during one it takes a second press. */
function AccountRow({ phone }: { phone: Phone }) {
  const asked = useSignal(false);
  const session = phone.account.session.value;
  if (!session) return null;
  const asking = asked.value && phone.line.inCall.value;
  return (
    <fieldset class="account">
      <legend>Account</legend>
      <div class="row">
        <Avatar name={session.displayName} />
        <span class="row-words">
          <strong>{session.displayName}</strong>
          <small>
            {session.user}@{session.domain}
          </small>
        </span>
        <button
          type="button"
          class="small-button"
          data-testid="sign-out"
          onClick={() => {
            if (phone.line.inCall.value && !asked.value) asked.value = true;
            else void phone.signOut();
          }}
        >
          {asking ? 'End the call and sign out' : 'Sign out'}
        </button>
      </div>
    </fieldset>
  );
}

function Diagnostics({ phone }: { phone: Phone }) {
  const copied = useSignal('');
  const copy = (): void => {
    navigator.clipboard.writeText(phone.diagnostics()).then(
      () => {
        copied.value = 'Copied. It holds no passwords or keys.';
      },
      () => {
        copied.value = 'The browser did not allow copying.';
      },
    );
  };
  return (
    <footer>
      <button type="button" class="small-button" data-testid="copy-diagnostics" onClick={copy}>
        Copy diagnostics
      </button>
      <span role="status">{copied.value}</span>
    </footer>
  );
}

interface DeviceSelectProps {
  label: string;
  devices: readonly MediaDeviceInfo[];
  value: string;
  onChange: (deviceId: string) => void;
}

function DeviceSelect({ label, devices, value, onChange }: DeviceSelectProps) {
  const known = devices.some((d) => d.deviceId === value);
  return (
    <label class="field">
      <span>{label}</span>
      <select value={known ? value : ''} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">System default</option>
        {devices.map((device, i) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || `${label} ${i + 1}`}
          </option>
        ))}
      </select>
    </label>
  );
}
