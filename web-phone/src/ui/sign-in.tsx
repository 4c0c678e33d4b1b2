import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import { Logo } from './icons.tsx';
import { MessageBar } from './parts.tsx';

export function SignIn({ phone }: { phone: Phone }) {
  const user = useSignal('');
  const password = useSignal('');
  const field = useRef<HTMLInputElement>(null);
  const busy = phone.login.busy.value;
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="sign-in">
      <form
        class="card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void phone.login.signIn({ user: user.value.trim(), password: password.value });
        }}
      >
        <Logo />
        <h1>Offhook</h1>
        <p class="lead">Sign in to make and take calls.</p>
        <MessageBar phone={phone} />
        <label>
          <span>User name</span>
          <input
            ref={field}
            data-testid="signin-user"
            name="username"
            autocomplete="username"
            autocapitalize="off"
            spellcheck={false}
            value={user.value}
            onInput={(event) => {
              user.value = event.currentTarget.value;
            }}
          />
        </label>
        <label>
          <span>Password</span>
          <input
            data-testid="signin-password"
            name="password"
            type="password"
            autocomplete="current-password"
            value={password.value}
            onInput={(event) => {
              password.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit" class="button wide" data-testid="signin-submit" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <p class="hint">
          Or open the login link that <code>npm start</code> printed. Each works once;{' '}
          <code>npx offhook link &lt;name&gt;</code> in the project’s folder makes another.
        </p>
      </form>
    </main>
  );
}
