import { terminalTable } from '../report/terminal-table.ts';

/** All digits below ten million (`1,234,567`); above, three digits and a unit (`26.2 B`). */
export function formatCount(value: number): string {
  if (value < 1e7) return Math.round(value).toLocaleString('en-US');
  for (const [size, unit] of [
    [1e12, 'T'],
    [1e9, 'B'],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)} ${unit}`;
  return `${(value / 1e6).toPrecision(3)} M`;
}

/** cli-table3 options for a quiet table: no colours of its own, no line between rows. */
export const PLAIN_TABLE = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
};

/** Columns of the terminal that a command prints to; undefined for a pipe or file, where lines may have any length. */
export function terminalColumns({ isTTY, columns }: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> = process.stdout) {
  return isTTY && columns > 0 ? columns : undefined;
}

/** A quiet table, made to fit the terminal. */
export function plainTable(rows: readonly string[][], head: string[] = []): string {
  return terminalTable(rows, { ...PLAIN_TABLE, head }, terminalColumns());
}
