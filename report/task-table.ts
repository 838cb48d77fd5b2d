import pc from 'picocolors';
import { isChoice, meanScore, type TaskScore } from '../core/evaluation/index.ts';
import { count, NOTHING } from './format.ts';
import { terminalTable } from './terminal-table.ts';

const share = (value: number | undefined, error: number | undefined) =>
  value === undefined ? NOTHING : `${value.toFixed(4)} \u00b1 ${(error ?? 0).toFixed(4)}`;

/** Zero-shot results for a terminal, each with its standard error; no final newline. */
export function taskTable(
  scores: readonly TaskScore[],
  { color, columns }: { color: boolean; columns?: number },
): string {
  const paint = pc.createColors(color);
  const perplexed = scores.some(({ layout }) => layout === 'continuation');
  const texts = scores.some(({ layout }) => layout === 'text');
  const normed = scores.some((score) => isChoice(score) && score.accNorm !== undefined);
  const head = ['task', 'items', 'acc', ...(normed ? ['acc_norm'] : [])];
  if (perplexed) head.push('perplexity');
  if (texts) head.push('bits per byte');
  const rows: string[][] = [];
  const row = (name: string, items: string, acc: string, accNorm: string, perplexity = NOTHING, bits = NOTHING) =>
    rows.push([
      name,
      items,
      acc,
      ...(normed ? [accNorm] : []),
      ...(perplexed ? [perplexity] : []),
      ...(texts ? [bits] : []),
    ]);
  for (const score of scores) {
    const items = count(score.items);
    if (score.layout === 'text') row(score.task, items, NOTHING, NOTHING, NOTHING, score.bitsPerByte.toFixed(4));
    else if (score.layout === 'continuation') {
      const perplexity = `${score.perplexity.toPrecision(5)} \u00b1 ${score.perplexityStderr.toPrecision(3)}`;
      row(score.task, items, share(score.acc, score.accStderr), NOTHING, perplexity);
    } else row(score.task, items, share(score.acc, score.accStderr), share(score.accNorm, score.accNormStderr));
  }
  const mean = meanScore(scores);
  if (mean) {
    const name = paint.bold(`mean of ${mean.tasks} choice tasks`);
    row(name, '', share(mean.acc, mean.accStderr), share(mean.accNorm, mean.accNormStderr));
  }
  const options = {
    head: head.map((name) => paint.bold(name)),
    colAligns: head.map((_, i) => (i === 0 ? ('left' as const) : ('right' as const))),
    style: { head: [], border: [], compact: true },
  };
  return terminalTable(rows, options, columns);
}
