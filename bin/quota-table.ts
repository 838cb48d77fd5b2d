import type { QuotaNeed } from '../core/cost/quotas.ts';
import { plainTable } from './format.ts';

/** The service quotas that a run uses, as a table. */
export function quotaTable(quotas: readonly QuotaNeed[]): string {
  const rows = quotas.map(({ quota, code = 'by type', unit, least, useful }) => [
    quota,
    code,
    `${least} ${unit}`,
    `${useful} ${unit}`,
  ]);
  return plainTable(rows, ['quota of the account', 'code', 'at least', 'useful']);
}
