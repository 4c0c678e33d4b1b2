import { useSignal } from '@preact/signals';
import type { Phone } from '../phone.ts';
import { Logo } from './icons.tsx';
import { MessageBar } from './parts.tsx';

export function SignIn({ phone }: { phone: Phone }) {
  const user = useSignal('');
  const password = useSignal('');
  const busy = phone.signingIn.value;
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void phone.signIn(user.value, password.value);
        }}
      >
        <Logo />
        <h1>Offhook</h1>
        <p class="lead">Sign in to make and take calls.</p>
        <MessageBar phone={phone} />
        <label>
          <span>Name</span>
          <input
            data-testid="signin-user"
            name="username"
            autocomplete="username"
            autocapitalize="off"
            spellcheck={false}
            required
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
            required
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
          Or open the login link that <code>npm start</code> printed: it signs you in with one click.
        </p>
      </form>
    </main>
  );
}
