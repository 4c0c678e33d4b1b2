import type { Phone } from '../phone.ts';
import { isOwnStatus, NOTE_LIMIT, OWN_STATUSES, type OwnStatus, readNote, STATUS_WORDS } from '../presence.ts';

/** What others read beside this account's name, at hand in the header. */
export function OwnStatusChoice({ phone }: { phone: Phone }) {
  const presence = phone.account.presence.value;
  if (!presence) return null;
  return (
    <StatusSelect
      class="own-status"
      testId="own-status"
      value={presence.status}
      onChange={(status) => void phone.setPresence({ ...presence, status })}
    />
  );
}

/** The same in the settings, with a note. */
export function OwnStatusSet({ phone }: { phone: Phone }) {
  const presence = phone.account.presence.value;
  if (!presence) return null;
  return (
    <fieldset>
      <legend>My status, as others see it</legend>
      <div class="field">
        <span>Status</span>
        <StatusSelect
          testId="own-status-setting"
          value={presence.status}
          onChange={(status) => void phone.setPresence({ ...presence, status })}
        />
      </div>
      <label class="field">
        <span>Note</span>
        <input
          type="text"
          data-testid="own-note"
          autocomplete="off"
          maxLength={NOTE_LIMIT}
          placeholder="Back at two"
          value={presence.note ?? ''}
          onChange={(event) =>
            void phone.setPresence({ status: presence.status, ...readNote(event.currentTarget.value) })
          }
        />
      </label>
    </fieldset>
  );
}

interface StatusSelectProps {
  class?: string;
  testId: string;
  value: OwnStatus;
  onChange: (status: OwnStatus) => void;
}

function StatusSelect({ class: className, testId, value, onChange }: StatusSelectProps) {
  return (
    <select
      class={className}
      data-testid={testId}
      aria-label="My status"
      title="My status"
      value={value}
      onChange={({ currentTarget }) => {
        if (isOwnStatus(currentTarget.value)) onChange(currentTarget.value);
      }}
    >
      {OWN_STATUSES.map((status) => (
        <option key={status} value={status}>
          {STATUS_WORDS[status]}
        </option>
      ))}
    </select>
  );
}
