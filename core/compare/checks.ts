/** Which runs can be compared, and what a reader should know about those that are. */
import { ConfigError } from '../errors.ts';
import type { RunSummary } from '../formats.ts';
import { type Entry, labelled, sourceOf } from './entries.ts';
import { LOSSES } from './losses.ts';

/** What summaries call the trainer of a run that has none of its user's. */
export const OUR_TRAINER = 'mates';

/** @throws ConfigError when losses are not numbers, or the runs' losses cannot be subtracted. */
export function checkRuns(entries: readonly Entry[]): void {
  checkLosses(entries);
  checkData(entries);
  checkChoice(entries);
}

/** What a reader should know about the runs, in sentences. */
export function notesOn(entries: readonly Entry[]): string[] {
  return [...replacedIn(entries), ...differentIn(entries)];
}

/** What runs may differ in that they are hardly meant to. */
function differentIn(entries: readonly Entry[]): string[] {
  const several = (of: 'texts' | 'trainer') => new Set(entries.flatMap(({ summary }) => summary.data?.[of] ?? [])).size;
  const [texts, trainers] = [several('texts'), several('trainer')];
  return [
    ...(texts > 1
      ? [`The runs' corpora were made of ${texts} different sets of files: seeds differ in their texts, too.`]
      : []),
    ...(trainers > 1 ? [`The runs were trained by ${trainers} different trainers, which their losses depend on.`] : []),
  ];
}

function replacedIn(entries: readonly Entry[]): string[] {
  return labelled(entries).flatMap(({ label, summary: { seed, method: configured, stages } }) => {
    const replaced = stages.filter(({ scored, method }) => scored && method !== undefined && method !== configured);
    if (replaced.length === 0) return [];
    const which = replaced.map(({ stage, method }) => `stage ${stage} (by ${method})`).join(', ');
    return [
      `${label}, seed ${seed}: not selected by ${configured} in ${which}, as the influence model or its labels were weak.`,
    ];
  });
}

/** What runs must have in common, and what the error says that two runs have if they do not. */
const COMMON = {
  heldOut: 'different held-out passages',
  reference: 'different reference passages',
  settings: 'different settings of model, pretrain, pools or evaluation',
  rows: 'different sizes of vocabulary or lengths of rows',
  tokenizer: 'different tokenizers',
  corpus: 'different corpora or pools, though their seed is the same', // each seed deals its own
} as const;

/** JSON has `null` for what is not a number, and that would be subtracted as 0. */
function checkLosses(entries: readonly Entry[]): void {
  for (const entry of entries)
    for (const { stage, main, control = main } of entry.summary.stages)
      for (const name of LOSSES)
        if (!Number.isFinite(main[name]) || !Number.isFinite(control[name]))
          throw new ConfigError(
            `compare: ${name} of stage ${stage} of ${sourceOf(entry)} is not a number: its training diverged, or its summary is damaged. Leave the run out.`,
          );
}

interface Known {
  source: string;
  seed: number;
  data: NonNullable<RunSummary['data']>;
}

function checkData(entries: readonly Entry[]): void {
  const known = entries.flatMap((entry): Known[] => {
    const { seed, data } = entry.summary;
    return data ? [{ source: sourceOf(entry), seed, data }] : [];
  });
  for (const one of known) for (const other of known) checkPair(one, other);
}

function checkPair(one: Known, other: Known): void {
  const differ = (a: string | undefined, b: string | undefined) => a !== b && a !== undefined && b !== undefined;
  const refuse = (what: string, remedy: string): never => {
    throw new ConfigError(
      `compare: the runs ${one.source} and ${other.source} have ${what}, so their losses cannot be subtracted. ${remedy}`,
    );
  };
  for (const name of Object.keys(COMMON) as (keyof typeof COMMON)[]) {
    if (!differ(one.data[name], other.data[name]) || (name === 'corpus' && one.seed !== other.seed)) continue;
    refuse(
      COMMON[name],
      'Compare runs that differ only in what is to be compared: seed, probe, influenceModel, selection, pretrain.stages. ' +
        "Each run's run.json has its configuration.",
    );
  }
  // Of two trainers of the user's own, one may be the other at another place: a note says that there are two.
  const [a, b] = [one.data.trainer, other.data.trainer];
  if (differ(a, b) && (a === OUR_TRAINER || b === OUR_TRAINER))
    refuse(`different trainers (${a} and ${b})`, 'Compare runs of one trainer.');
  for (const [task, sha256] of Object.entries(one.data.tasks ?? {}))
    if (differ(sha256, other.data.tasks?.[task]))
      refuse(`different items of the task ${task}`, 'Leave one of them out.');
}

/** Runs without a label form a row by their method, so all of them must choose rows in the same way. */
function checkChoice(entries: readonly Entry[]): void {
  const firstOf = new Map<string, Entry>();
  for (const [i, { label, summary }] of labelled(entries).entries()) {
    const entry = entries[i]!;
    const choice = entry.label === undefined ? summary.data?.choice : undefined;
    if (choice === undefined) continue;
    const first = firstOf.get(label) ?? entry;
    firstOf.set(label, first);
    if (first.summary.data!.choice !== choice)
      throw new ConfigError(
        `compare: the runs ${sourceOf(first)} and ${sourceOf(entry)} are both ${label}, and differ in probe, influenceModel or selection: ` +
          'so they are not seeds of one method. Put a label before the runs of each: LABEL=out/runs/...',
      );
  }
}
