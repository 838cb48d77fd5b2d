/** The runs to compare, and what their rows are called. */
import type { RunSummary } from '../formats.ts';

/** A run to compare. */
export interface Entry {
  summary: RunSummary;
  /** What to call its row instead of its method: runs of one label and different seeds are one row. */
  label?: string;
  /** Its folder or file, to name it by in messages. @default - the run's id, which others may have too */
  source?: string;
}

/** How messages call the run. */
export const sourceOf = ({ source, summary }: Entry): string => source ?? summary.runId;

/** Labels runs by their method, or by their name where several have the same method and seed. */
export function labelled(entries: readonly Entry[]): { label: string; summary: RunSummary }[] {
  const keys = entries.map(({ label, summary }) => `${label ?? methodOf(summary)} ${summary.seed}`);
  const ambiguous = new Set(
    entries.filter((_, i) => keys.indexOf(keys[i]!) !== i).map(({ summary }) => methodOf(summary)),
  );
  return entries.map(({ label, summary }) => ({
    label: label ?? (ambiguous.has(methodOf(summary)) ? summary.name : methodOf(summary)),
    summary,
  }));
}

/** Older summaries say nothing of other scores beside the method's own. */
const methodOf = ({ label, method }: RunSummary): string => label ?? method;
