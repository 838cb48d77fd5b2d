import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export async function handler({ run, stage }: { run: { prefix: string }; stage: number }) {
  const keys = ['probe-items', 'score-items'].map((name) => `${run.prefix}/stages/${stage}/${name}.json`);
  for (const key of keys) {
    const path = join(process.env.MATES_LAKE_DIRECTORY!, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify([{ index: 0 }, { index: 1 }]));
  }
  return {
    scored: stage > 0,
    preparesProbe: stage > 0,
    probed: stage > 0,
    arms: [{ arm: 'main' }, { arm: 'control' }],
    probeItemsKey: keys[0],
    scoreItemsKey: keys[1],
    withinBudget: true,
  };
}
