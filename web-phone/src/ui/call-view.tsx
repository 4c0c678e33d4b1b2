import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { CallSession } from '../call-session.ts';
import { clock } from '../history.ts';
import type { Phone } from '../phone.ts';
import { callEndWords, isPlainHangup } from '../ua/call-end.ts';
import { nowMs } from './clock.ts';
import {
  HangUpIcon,
  KeypadIcon,
  MicrophoneIcon,
  MicrophoneOffIcon,
  SettingsIcon,
  VideoIcon,
  VideoOffIcon,
} from './icons.tsx';
import { Keypad } from './keypad.tsx';
import { Avatar, Picture } from './parts.tsx';

/** An outgoing, active or just ended call. */
export function CallView({ phone, call, onDevices }: { phone: Phone; call: CallSession; onDevices: () => void }) {
  const keypad = useSignal(false);
  const phase = call.phase.value;
  useEffect(() => {
    const close = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') keypad.value = false;
    };
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, [keypad]);
  const video = call.remoteVideo.value !== undefined && phase === 'active';
  const picture = video && call.remoteVideoFlows.value;
  return (
    <section
      class="call"
      data-video={picture}
      data-phase={phase}
      data-keypad={keypad.value}
      aria-label={`Call with ${call.name}`}
    >
      <div class="pictures">
        <Picture
          stream={call.remoteVideo.value}
          testId="remote-video"
          label={`Video from ${call.name}`}
          class="remote"
        />
        <Picture stream={call.localVideo.value} testId="local-video" label="Your own video" class="local" />
      </div>
      <div class="call-head">
        <div class="speaking" data-level={levelStep(call)}>
          <Avatar name={call.name} size="large" />
        </div>
        <div class="call-names">
          <h1>{call.name}</h1>
          <p class="call-line">
            <CallLine call={call} />
          </p>
        </div>
        <QualityLine call={call} />
      </div>
      {phase === 'active' && keypad.value ? (
        <div class="call-keypad">
          <output class="digits" aria-label="Tones sent">
            {call.digits.value || ' '}
          </output>
          <Keypad phone={phone} label="Tone keypad" />
        </div>
      ) : null}
      {phase === 'ended' ? null : (
        <div class="controls" role="toolbar" aria-label="Call controls">
          <Control
            testId="mute"
            label={call.muted.value ? 'Unmute' : 'Mute'}
            hint="M"
            pressed={call.muted.value}
            onClick={() => call.toggleMute()}
          >
            {call.muted.value ? <MicrophoneOffIcon /> : <MicrophoneIcon />}
          </Control>
          <Control
            testId="video-toggle"
            label={call.cameraOn.value ? 'Stop video' : 'Video'}
            hint="V"
            pressed={call.cameraOn.value}
            disabled={phase !== 'active' || call.cameraBusy.value}
            onClick={() => void phone.line.toggleVideo()}
          >
            {call.cameraOn.value ? <VideoIcon /> : <VideoOffIcon />}
          </Control>
          <Control
            testId="keypad-toggle"
            label="Keypad"
            pressed={keypad.value}
            disabled={phase !== 'active'}
            onClick={() => {
              keypad.value = !keypad.value;
            }}
          >
            <KeypadIcon />
          </Control>
          <Control testId="devices" label="Devices" onClick={onDevices}>
            <SettingsIcon />
          </Control>
          <button type="button" class="control end" data-testid="hangup" onClick={() => phone.line.hangUp()}>
            <span class="round">
              <HangUpIcon />
            </span>
            <span class="label">{phase === 'active' ? 'Hang up' : 'Cancel'}</span>
          </button>
        </div>
      )}
    </section>
  );
}

interface ControlProps {
  testId: string;
  label: string;
  hint?: string;
  pressed?: boolean;
  disabled?: boolean;
  onClick: () => void;
  children: preact.ComponentChildren;
}

function Control({ testId, label, hint, pressed, disabled, onClick, children }: ControlProps) {
  return (
    <button
      type="button"
      class="control"
      data-testid={testId}
      aria-pressed={pressed}
      aria-keyshortcuts={hint}
      title={hint ? `${label} (${hint})` : label}
      disabled={disabled}
      onClick={onClick}
    >
      <span class="round">{children}</span>
      <span class="label">{label}</span>
    </button>
  );
}

function CallLine({ call }: { call: CallSession }) {
  const phase = call.phase.value;
  const answered = call.answeredAtMs.value;
  if (answered !== undefined) {
    const until = call.endedAtMs.value ?? nowMs.value;
    return (
      <>
        <span data-testid="call-timer" class="timer">
          {clock((until - answered) / 1000)}
        </span>
        <Parting call={call} />
        {phase === 'active' && !call.mediaFlows.value ? <span class="warn"> · Reconnecting the sound…</span> : null}
        {phase === 'active' && call.muted.value ? <span> · You are muted</span> : null}
      </>
    );
  }
  if (phase === 'ended') return null; // the message says why
  switch (call.preparing.value) {
    case 'media':
      return <>Asking for the microphone…</>;
    case 'connection':
      return <>Waiting for the connection…</>;
    case undefined:
      return <>{phase === 'ringing' ? 'Ringing…' : 'Calling…'}</>;
    default:
      return call.preparing.value satisfies never;
  }
}

/** Who hung up; any other end has a message of its own. */
function Parting({ call }: { call: CallSession }) {
  const end = call.outcome.value;
  return end && isPlainHangup(end) ? <span> · {callEndWords(end, call.name).title}</span> : null;
}

function QualityLine({ call }: { call: CallSession }) {
  const quality = call.quality.value;
  if (call.phase.value === 'ended') return null;
  if (call.phase.value !== 'active') return <p class="quality" data-grade="hidden" />;
  return (
    <p class="quality" data-testid="quality" data-grade={quality?.grade ?? 'unknown'}>
      <span class="bars" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span>{quality?.words ?? 'Connecting the sound…'}</span>
    </p>
  );
}

/** How loud the far side is, in five steps: enough to see who speaks. */
function levelStep(call: CallSession): number {
  const level = call.quality.value?.speakerLevel ?? 0;
  return call.phase.value === 'active' ? Math.min(4, Math.ceil(Math.sqrt(level) * 5)) : 0;
}
