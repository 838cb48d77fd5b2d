import type { QuotaNeed } from '../core/cost/quotas.ts';
import { terminalTable } from '../report/terminal-table.ts';
import { PLAIN_TABLE, terminalColumns } from './format.ts';

/** The service quotas that a run uses, as a table. */
export function quotaTable(quotas: readonly QuotaNeed[]): string {
  const rows = quotas.map(({ quota, code = 'by type', unit, least, useful }) => [
    quota,
    code,
    `${least} ${unit}`,
    `${useful} ${unit}`,
  ]);
  return terminalTable(
    rows,
    { ...PLAIN_TABLE, head: ['quota of the account', 'code', 'at least', 'useful'] },
    terminalColumns(),
  );
}
