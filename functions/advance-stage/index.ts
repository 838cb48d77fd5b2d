import type { RunReference } from '../../core/run/execution-input.ts';

interface State {
  run: RunReference;
  stage: number;
  stages: number;
}

/** Moves on to the next stage; `more` says whether there is one. */
export async function handler({ run, stage, stages }: State): Promise<State & { more: boolean }> {
  return { run, stage: stage + 1, stages, more: stage + 1 < stages };
}
