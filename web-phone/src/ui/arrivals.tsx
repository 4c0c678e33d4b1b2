import { useEffect } from 'preact/hooks';
import type { Phone } from '../phone.ts';
import { CloseIcon, TextIcon } from './icons.tsx';

const SHOWN_MS = 12_000;

/** The text that came last: read out, and on the screen where its conversation is not. */
export function Arrivals({ phone }: { phone: Phone }) {
  const arrival = phone.texts.arrival.value;
  const inView = arrival?.peer === phone.texts.shown.value;
  useEffect(() => {
    if (!arrival) return undefined;
    const timer = setTimeout(() => {
      if (phone.texts.arrival.value === arrival) phone.texts.dismissArrival();
    }, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [phone, arrival]);
  const name = arrival && phone.textName(arrival.peer);
  return (
    <div class={inView ? 'only-read' : 'arrival-slot'} role="status" aria-live="polite" data-testid="arrival">
      {arrival ? (
        <div class="arrival" key={arrival.id}>
          <button type="button" class="arrival-open" onClick={() => phone.texts.show(arrival.peer)}>
            <TextIcon />
            <span>
              <strong>{name}</strong> <span dir="auto">{arrival.text.slice(0, 160)}</span>
            </span>
          </button>
          <button
            type="button"
            class="icon-button quiet"
            aria-label="Dismiss"
            onClick={() => phone.texts.dismissArrival()}
          >
            <CloseIcon />
          </button>
        </div>
      ) : null}
    </div>
  );
}
