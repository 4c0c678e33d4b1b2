import assert from 'node:assert/strict';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help?: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE_LINE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);

/** Reads the text format of Prometheus (0.0.4) more strictly than Prometheus does; throws what is wrong with it. */
export function readExposition(text: string): Map<string, Family> {
  const families = new Map<string, { type: string; help?: string; samples: Sample[] }>();
  const helps = new Map<string, string>();
  const seen = new Set<string>();
  let current = '';
  assert.ok(text.endsWith('\n'), 'the last line has no line end');
  for (const line of text.slice(0, -1).split('\n')) {
    const [, kind, family = '', words = ''] = COMMENT.exec(line) ?? [];
    if (kind === 'HELP') {
      assert.ok(!helps.has(family) && !families.has(family), `HELP of ${family} twice, or after its TYPE`);
      helps.set(family, words);
    } else if (kind === 'TYPE') {
      assert.ok(!families.has(family), `TYPE of ${family} twice`);
      assert.match(words, /^(?:counter|gauge|histogram)$/);
      current = family;
      families.set(family, { type: words, help: helps.get(family), samples: [] });
    } else {
      const sample = readSample(line);
      const own = familyOf(sample.name, families);
      assert.ok(own !== undefined, `${sample.name} without a TYPE`);
      assert.equal(own, current, `${sample.name} stands apart from its family`);
      const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      assert.ok(!seen.has(key), `${line} twice`);
      seen.add(key);
      families.get(own)!.samples.push(sample);
    }
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function readSample(line: string): Sample {
  const [, name, pairs = '', number = ''] = SAMPLE_LINE.exec(line) ?? [];
  assert.ok(name !== undefined, `no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (const [pair] of pairs.matchAll(new RegExp(LABEL, 'g'))) {
    const key = pair.slice(0, pair.indexOf('='));
    assert.ok(!(key in labels), `label ${key} twice: ${line}`);
    labels[key] = pair.slice(key.length + 2, -1).replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  }
  assert.match(number, /^[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)$/, `no number: ${line}`);
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) };
}

function familyOf(name: string, families: ReadonlyMap<string, Family>): string | undefined {
  const base = name.replace(/_(?:bucket|sum|count)$/, '');
  if (base !== name && families.get(base)?.type === 'histogram') return base;
  return families.has(name) ? name : undefined;
}

function check(name: string, { type, samples }: Family): void {
  assert.ok(samples.length > 0, `${name} has no samples`);
  if (type === 'gauge') return;
  for (const { value } of samples) assert.ok(value >= 0, `${name} is negative`);
  if (type === 'counter') assert.ok(name.endsWith('_total'), `${name} is a counter without _total`);
  else checkHistogram(name, samples);
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const keyOf = ({ le: _, ...labels }: Readonly<Record<string, string>>) => JSON.stringify(labels);
  const groups = Map.groupBy(samples, ({ labels }) => keyOf(labels));
  for (const [key, group] of groups) {
    const one = (end: string) => group.filter((sample) => sample.name === `${name}_${end}`);
    const [sum, ...sums] = one('sum');
    const [count, ...counts] = one('count');
    assert.ok(sum && sums.length === 0, `${name}${key} has no _sum`);
    assert.ok(count && counts.length === 0, `${name}${key} has no _count`);
    let before = { le: Number.NEGATIVE_INFINITY, value: 0 };
    for (const { labels, value } of one('bucket')) {
      const le = Number(labels.le?.replace('+Inf', 'Infinity'));
      assert.ok(le > before.le, `${name}${key}: the bounds are not in order`);
      assert.ok(value >= before.value, `${name}${key} falls at ${le}`);
      before = { le, value };
    }
    assert.equal(before.le, Number.POSITIVE_INFINITY, `${name}${key} has no +Inf`);
    assert.equal(before.value, count.value, `${name}${key}: +Inf is not the count`);
  }
}
