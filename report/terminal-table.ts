/** Tables for a terminal. */
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';

/**
 * A table as text, without a final newline. A terminal with fewer columns than it needs would wrap its lines into each
 * other. There, each row becomes a block: its first cell as a heading, then one line for each other cell. Without a
 * head, each row becomes a line.
 */
export function terminalTable(
  rows: readonly string[][],
  options: Table.TableConstructorOptions,
  columns = Number.POSITIVE_INFINITY,
): string {
  const table = new Table(options);
  table.push(...rows);
  const text = table.toString();
  if (Math.max(...text.split('\n').map(widthOf)) <= columns) return text;
  const [first = '', ...names] = options.head ?? [];
  if (names.length === 0) return pairs(rows as [string, string][], columns).join('\n');
  const block = ([title = '', ...cells]: string[]) => [
    `${first} ${title}`.trim(),
    ...pairs(
      cells.map((cell, i) => [`  ${names[i]}`, cell]),
      columns,
    ),
  ];
  return rows.flatMap(block).join('\n');
}

/** Names and their values side by side; a long value is wrapped within its column. */
function pairs(lines: [name: string, value: string][], columns: number): string[] {
  const room = Math.max(...lines.map(([name]) => widthOf(name))) + 2;
  return lines.flatMap(([name, value]) =>
    wrapped(value, columns - room).map((line, i) =>
      i === 0 ? name + ' '.repeat(room - widthOf(name)) + line : ' '.repeat(room) + line,
    ),
  );
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const part of text.split('\n')) {
    let line = '';
    for (const word of part.split(' ')) {
      const longer = line ? `${line} ${word}` : word;
      if (line && widthOf(longer) > width) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    lines.push(line);
  }
  return lines;
}

const widthOf = (text: string) => stripVTControlCharacters(text).length;
