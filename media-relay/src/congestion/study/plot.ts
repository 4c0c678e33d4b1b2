/** One line of a plot: its points are evenly spaced, or steps at given times. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
  readonly isStep?: boolean;
}

export interface Panel {
  readonly title: string;
  /** Of the vertical axis. */
  readonly unit: string;
  readonly lines: readonly Line[];
}

const WIDTH = 900;
const HEIGHT = 260;
const LEFT = 60;
const RIGHT = 150;
const TOP = 30;
const BOTTOM = 34;
const COLOURS = ['#1f6fb4', '#d9541e', '#2a8f4d', '#8e44ad', '#b8860b', '#c2185b', '#00838f', '#5d4037'];
const LIMIT_COLOUR = '#888888';

/** Panels above each other over one axis of seconds, as an SVG document. */
export function plot(title: string, seconds: number, panels: readonly Panel[]): string {
  const height = panels.length * HEIGHT + 30;
  const body = panels.map((panel, i) => panelSvg(panel, seconds, 30 + i * HEIGHT)).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
${label(LEFT, 20, title, 'font-size="14" font-weight="bold"')}
${body}</svg>
`;
}

function panelSvg(panel: Panel, seconds: number, top: number): string {
  const most = niceCeiling(Math.max(1e-9, ...panel.lines.flatMap(({ points }) => points.map(([, y]) => y))));
  const x = (s: number) => LEFT + (s / seconds) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => top + HEIGHT - BOTTOM - (value / most) * (HEIGHT - TOP - BOTTOM);
  const parts = [label(LEFT, top + TOP - 10, `${panel.title} (${panel.unit})`, 'font-weight="bold"')];
  for (let i = 0; i <= 5; i++) {
    const value = (most * i) / 5;
    parts.push(rule(LEFT, y(value), WIDTH - RIGHT, y(value)));
    parts.push(label(LEFT - 6, y(value) + 4, String(Number(value.toPrecision(3))), 'text-anchor="end"'));
  }
  const every = niceCeiling(seconds / 12);
  for (let s = 0; s <= seconds; s += every) {
    parts.push(rule(x(s), y(0), x(s), y(most)));
    parts.push(label(x(s), y(0) + 16, `${s} s`, 'text-anchor="middle"'));
  }
  panel.lines.forEach((line, i) => {
    const colour = line.isStep ? LIMIT_COLOUR : COLOURS[i % COLOURS.length]!;
    parts.push(path(line, x, y, colour));
    const at = top + TOP + 6 + i * 15;
    parts.push(`<rect x="${WIDTH - RIGHT + 10}" y="${at - 8}" width="14" height="4" fill="${colour}"/>`);
    parts.push(label(WIDTH - RIGHT + 30, at - 2, line.name));
  });
  return `${parts.join('\n')}\n`;
}

function path(line: Line, x: (s: number) => number, y: (value: number) => number, colour: string): string {
  let d = '';
  for (const [s, value] of line.points) {
    const px = x(s).toFixed(1);
    const py = y(value).toFixed(1);
    if (d === '') d = `M${px} ${py}`;
    else d += line.isStep ? `H${px}V${py}` : `L${px} ${py}`;
  }
  const dashes = line.isStep ? ' stroke-dasharray="5 3"' : '';
  return `<path d="${d}" fill="none" stroke="${colour}" stroke-width="1.4"${dashes}/>`;
}

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<path d="M${x1.toFixed(1)} ${y1.toFixed(1)}L${x2.toFixed(1)} ${y2.toFixed(1)}" stroke="#e4e4e4" stroke-width="1"/>`;
}

function label(x: number, y: number, words: string, style = ''): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${safe}</text>`;
}

/** 1, 2 or 5 times a power of ten, not below the value. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 2.5, 5]) if (value <= step * power) return step * power;
  return 10 * power;
}
