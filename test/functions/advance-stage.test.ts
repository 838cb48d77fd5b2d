import { expect, it } from 'vitest';
import { handler } from '../../functions/advance-stage/index.ts';

it('goes on to the next stage until all have been, and carries nothing else along', async () => {
  const run = {
    id: 'r',
    uri: 's3://b/runs/r',
    bucket: 'b',
    prefix: 'runs/r',
    trainer: 'batch',
    dryRun: false,
  } as const;
  const state = { run, stages: 3, plan: { scored: true } };
  expect(await handler({ ...state, stage: 0 })).toEqual({ run, stage: 1, stages: 3, more: true });
  expect(await handler({ ...state, stage: 1 })).toEqual({ run, stage: 2, stages: 3, more: true });
  expect(await handler({ ...state, stage: 2 })).toEqual({ run, stage: 3, stages: 3, more: false });
});
