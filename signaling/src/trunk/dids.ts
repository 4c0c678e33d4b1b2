import type { NumberPlan } from './numbers.ts';

const NUMBER = /^\+?\d{1,20}$/;
const RANGE = /^(\+?\d{1,20})-(\+?\d{1,20})$/;
const TARGET = /^[^\s<>"\\@\p{Cc}]{1,64}$/u;

interface Range {
  readonly first: string;
  readonly last: string;
  readonly target: string;
}

/** What is wrong with one entry, in words. */
export function didProblem(key: string, target: unknown): string | undefined {
  const what = key.slice(0, 48);
  if (typeof target !== 'string' || !TARGET.test(target)) return `'${what}' has to lead to a user, group or number`;
  const isPrefix = key.endsWith('*');
  if (target.includes('*', 1) && !isPrefix)
    return `'${what}': * in what it leads to needs a * at the end of the number`;
  if (NUMBER.test(isPrefix ? key.slice(0, -1) : key)) return undefined;
  const [, first, last] = RANGE.exec(key) ?? [];
  if (first === undefined || last === undefined)
    return `'${what}' is no number, prefix (+4930123*) or range (+4930120-+4930129)`;
  if (first.length !== last.length || first > last)
    return `'${what}': first and last number have to be of one length, in order`;
  return undefined;
}

/**
 * The numbers that a trunk brings, and where here they lead. An exact entry is before a range, that before the longest
 * prefix. In what a prefix leads to, `*` stands for the digits behind it: `"+4930123*": "*"` are direct dial-in extensions.
 * Prefixes are compared as they are written: with + and the country code, unless the trunk has no country.
 */
export class Dids {
  readonly #exact = new Map<string, string>();
  readonly #prefixes = new Map<string, string>();
  readonly #ranges: Range[] = [];
  readonly #ofTarget = new Map<string, string>();
  readonly #longestPrefix: number;
  /** Keys that mean a number which another one has already. */
  readonly doubles: readonly string[];

  constructor(entries: Readonly<Record<string, string>>, plan: NumberPlan) {
    const doubles: string[] = [];
    const add = (to: Map<string, string>, number: string, key: string, target: string) => {
      if (to.has(number)) doubles.push(key);
      to.set(number, target);
    };
    for (const [key, target] of Object.entries(entries)) {
      const range = RANGE.exec(key);
      if (range) this.#ranges.push({ first: plan.fromTrunk(range[1]!), last: plan.fromTrunk(range[2]!), target });
      else if (key.endsWith('*')) add(this.#prefixes, key.slice(0, -1), key, target);
      else {
        const number = plan.fromTrunk(key);
        add(this.#exact, number, key, target);
        if (!this.#ofTarget.has(target)) this.#ofTarget.set(target, number);
      }
    }
    this.#longestPrefix = Math.max(0, ...[...this.#prefixes.keys()].map((prefix) => prefix.length));
    this.doubles = doubles;
  }

  /** Where a number in +E.164 leads: a user part of this server. */
  find(number: string): string | undefined {
    const exact = this.#exact.get(number);
    if (exact !== undefined) return exact;
    for (const { first, last, target } of this.#ranges)
      if (number.length === first.length && number >= first && number <= last) return target;
    for (let length = Math.min(this.#longestPrefix, number.length - 1); length > 0; length--) {
      const target = this.#prefixes.get(number.slice(0, length));
      const rest = number.slice(length);
      // Digits only: what a stranger dials must not become the name of a user.
      if (target !== undefined && /^\d+$/.test(rest)) return target.replace('*', rest);
    }
    return undefined;
  }

  /** The number that leads to that user alone. */
  numberOf(user: string): string | undefined {
    return this.#ofTarget.get(user);
  }
}
