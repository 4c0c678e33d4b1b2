import { endOfQuoted, unquote } from './chars.ts';

/** `;name=value` parameters in their order. Names are compared without regard to case; a value may be a quoted-string. */
export class Params {
  readonly #entries: [name: string, value: string | undefined][] = [];

  /** Parses `;a=b;c` (the leading semicolon is optional), or undefined when it is malformed. */
  static parse(text: string): Params | undefined {
    const params = new Params();
    let at = 0;
    while (at < text.length) {
      if (text[at] === ';' || text[at] === ' ' || text[at] === '\t') {
        at++;
        continue;
      }
      let end = at;
      while (end < text.length && text[end] !== ';') {
        if (text[end] === '"') {
          const after = endOfQuoted(text, end);
          if (after < 0) return undefined;
          end = after;
        } else end++;
      }
      const part = text.slice(at, end);
      const equals = part.indexOf('=');
      const name = (equals < 0 ? part : part.slice(0, equals)).trim();
      if (name === '' || name.includes(' ') || name.includes('"')) return undefined;
      params.#entries.push([name, equals < 0 ? undefined : part.slice(equals + 1).trim()]);
      if (params.#entries.length > 64) return undefined;
      at = end;
    }
    return params;
  }

  /** The value without quotes; '' for a parameter without value; undefined when absent. */
  get(name: string): string | undefined {
    for (const [own, value] of this.#entries) if (isSame(own, name)) return unquote(value ?? '');
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Sets a parameter in place, or adds it at the end. `value` must be a token or quoted already. */
  set(name: string, value?: string): this {
    const found = this.#entries.find(([own]) => isSame(own, name));
    if (found) found[1] = value;
    else this.#entries.push([name, value]);
    return this;
  }

  delete(name: string): this {
    const wanted = name.toLowerCase();
    for (let i = this.#entries.length - 1; i >= 0; i--)
      if (this.#entries[i]![0].toLowerCase() === wanted) this.#entries.splice(i, 1);
    return this;
  }

  get size(): number {
    return this.#entries.length;
  }

  entries(): readonly (readonly [string, string | undefined])[] {
    return this.#entries;
  }

  clone(): Params {
    const copy = new Params();
    for (const [name, value] of this.#entries) copy.#entries.push([name, value]);
    return copy;
  }

  /** `;a=b;c`, empty when there are none. */
  toString(): string {
    let out = '';
    for (const [name, value] of this.#entries) out += value === undefined ? `;${name}` : `;${name}=${value}`;
    return out;
  }
}

function isSame(a: string, b: string): boolean {
  return a === b || (a.length === b.length && a.toLowerCase() === b.toLowerCase());
}
