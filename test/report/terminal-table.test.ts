import { expect, it } from 'vitest';
import { terminalTable } from '../../report/terminal-table.ts';

const rows = [
  ['model', '361,472 parameters (2 layers, width 64, 4 heads, context 128)'],
  ['stages', '2'],
];

it('has a line for each row where there is no head, and wraps long values below themselves', () => {
  const options = { style: { border: [] } };
  expect(terminalTable(rows, options, 200)).toMatch(/^┌/);
  expect(terminalTable(rows, options, 40)).toBe(
    ['model   361,472 parameters (2 layers,', '        width 64, 4 heads, context 128)', 'stages  2'].join('\n'),
  );
});

it('has a block for each row below a head, and measures what is seen', () => {
  const bold = (text: string) => `\u001b[1m${text}\u001b[22m`;
  const options = { head: ['', 'instance', 'spot'].map(bold) };
  expect(terminalTable([['idle', 'none', '$1.00']], options, 20)).toBe(
    [`${bold('')} idle`, `  ${bold('instance')}  none`, `  ${bold('spot')}      $1.00`].join('\n'),
  );
});
