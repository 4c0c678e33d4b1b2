import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds on the processor since the start: all threads of a process and of those it has started. */
export function cpuNsOf(root: number): number {
  let total = 0;
  for (const pid of tree(root))
    for (const task of list(`/proc/${pid}/task`))
      total += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0] || 0);
  return total;
}

/** Resident memory of a process and of those it has started in kB, what they share counted once (PSS). */
export function pssKbOf(root: number): number {
  const kb = (pid: number) => Number(/^Pss: +(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return tree(root).reduce((sum, pid) => sum + kb(pid), 0);
}

/** A process and all below it. */
export function tree(pid: number): number[] {
  const children = list(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(tree)];
}

/** A thread may end between being listed and being read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
