import type { ComponentChildren } from 'preact';

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      {children}
    </svg>
  );
}

const HANDSET =
  'M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2c.3-.3.7-.4 1-.2 1.2.4 2.4.6 3.6.6.6 0 1 .4 1 1V20c0 .6-.4 1-1 1C10.6 21 3 13.4 3 4c0-.6.4-1 1-1h3.5c.6 0 1 .4 1 1 0 1.2.2 2.4.6 3.6.1.3 0 .7-.2 1z';

export const PhoneIcon = () => (
  <Icon>
    <path fill="currentColor" d={HANDSET} />
  </Icon>
);

export const HangUpIcon = () => (
  <Icon>
    <path fill="currentColor" transform="rotate(135 12 12)" d={HANDSET} />
  </Icon>
);

export const VideoIcon = () => (
  <Icon>
    <rect x="2.5" y="6" width="13" height="12" rx="3" class="line" />
    <path d="M15.5 10.5 21 7.5v9l-5.5-3z" class="line" />
  </Icon>
);

export const VideoOffIcon = () => (
  <Icon>
    <path
      d="M10 6h2.5a3 3 0 0 1 3 3v6M13.5 17.8c-.3.1-.7.2-1 .2h-7a3 3 0 0 1-3-3V9c0-1 .5-1.9 1.2-2.4M15.5 10.5 21 7.5v9l-2.5-1.4M3 3l18 18"
      class="line"
    />
  </Icon>
);

export const MicrophoneIcon = () => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" class="line" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" class="line" />
  </Icon>
);

export const MicrophoneOffIcon = () => (
  <Icon>
    <path
      d="M15 9.5V6a3 3 0 0 0-5.7-1.3M9 9v2a3 3 0 0 0 4.5 2.6M5.5 11.5a6.5 6.5 0 0 0 10.6 5M18.5 11.5c0 .8-.1 1.5-.4 2.2M12 18v3M3 3l18 18"
      class="line"
    />
  </Icon>
);

export const KeypadIcon = () => (
  <Icon>
    {[5, 12, 19].flatMap((x) =>
      [5, 12, 19].map((y) => <circle key={`${x}-${y}`} cx={x} cy={y} r="1.7" fill="currentColor" />),
    )}
  </Icon>
);

export const SettingsIcon = () => (
  <Icon>
    <path d="M4 7h9M19 7h1M4 17h1M11 17h9" class="line" />
    <circle cx="16" cy="7" r="2.6" class="line" />
    <circle cx="8" cy="17" r="2.6" class="line" />
  </Icon>
);

export const BackspaceIcon = () => (
  <Icon>
    <path d="M9 5h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9l-6-7zM11.5 9.5l5 5M16.5 9.5l-5 5" class="line" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6 6 18" class="line" />
  </Icon>
);

export const PeopleIcon = () => (
  <Icon>
    <circle cx="9" cy="8.5" r="3.5" class="line" />
    <path
      d="M2.5 19.5c.6-3.3 3.2-5 6.5-5s5.9 1.7 6.5 5M15.5 5.3a3.5 3.5 0 0 1 0 6.4M18 14.9c2 .7 3.2 2.2 3.5 4.6"
      class="line"
    />
  </Icon>
);

export const ClockIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.5" class="line" />
    <path d="M12 7.5V12l3 2" class="line" />
  </Icon>
);

export const OutgoingIcon = () => (
  <Icon>
    <path d="M7 17 17 7M9.5 7H17v7.5" class="line" />
  </Icon>
);

export const IncomingIcon = () => (
  <Icon>
    <path d="M17 7 7 17M14.5 17H7V9.5" class="line" />
  </Icon>
);

export const BellIcon = () => (
  <Icon>
    <path d="M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5h4" class="line" />
  </Icon>
);

export const TextIcon = () => (
  <Icon>
    <path
      d="M5.5 4.5h13a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H11l-4.5 3.7v-3.7h-1a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2zM8 9h8M8 12.3h5"
      class="line"
    />
  </Icon>
);

export const WaveIcon = () => (
  <Icon>
    <path d="M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4" class="line" />
  </Icon>
);

/** A handset lifted off its hook. */
export const Logo = () => (
  <svg class="logo" viewBox="0 0 64 64" aria-hidden="true">
    <rect width="64" height="64" rx="16" class="logo-ground" />
    <path d="M15 47.5h34" class="logo-hook" />
    <g transform="rotate(-24 32 28)">
      <path
        d="M14 31c0-9.5 8-14.5 18-14.5S50 21.5 50 31v2.5a3 3 0 0 1-3 3h-6.5a3 3 0 0 1-3-3v-4.2c-3.6-1-7.4-1-11 0v4.2a3 3 0 0 1-3 3H17a3 3 0 0 1-3-3z"
        class="logo-handset"
      />
    </g>
  </svg>
);
