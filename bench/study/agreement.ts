/**
 * How far the ways to measure influence agree: `npx tsx bench/study/agreement.ts [--folder DIR] [--seeds N] [--rows N]`, after
 * index.ts has made the corpora. At the checkpoint after each stage of a random run, every method measures the same
 * hold-out rows. The results, `bench/study/results/agreement-<seed>.json`, are the Spearman correlations of the
 * methods, the drift between checkpoints, and the cost of a label.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { branchRate, decayBranchEnd } from '../../containers/decay-branch.ts';
import { holdOut } from '../../containers/hold-out.ts';
import type { Job } from '../../containers/job.ts';
import { modelCost, openLanguageModel, passagesCost } from '../../containers/model.ts';
import { PartialCheckpoints } from '../../containers/partial-checkpoints.ts';
import { loadPassageSet } from '../../containers/passages.ts';
import { DifferenceProbe } from '../../containers/probe/difference-probe.ts';
import { directionalCopies } from '../../containers/probe/directional.ts';
import { ExactProbe } from '../../containers/probe/exact-probe.ts';
import type { InfluenceProbe } from '../../containers/probe/influence-probe.ts';
import { lookaheadCopies } from '../../containers/probe/lookahead.ts';
import { parseConfig } from '../../core/config/load.ts';
import { armLayout } from '../../core/layout.ts';
import { spearman } from '../../core/metrics/index.ts';
import { CounterRandom, permutation } from '../../core/random/philox.ts';
import { openRun, openRunCorpus, readPlan } from '../../core/run/open-run.ts';
import { storeOpener } from '../../core/storage/index.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { synthesizeMachine } from '../../lib/synthesize.ts';
import { runMachine } from '../../local/run-machine.ts';
import { type Cell, configOf } from './grid.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: 'out/study' },
    seeds: { type: 'string', default: '3' },
    rows: { type: 'string', default: '400' },
  },
});
const folder = resolve(values.folder);
const ROWS = Number(values.rows);

for (let seed = 1; seed <= Number(values.seeds); seed++) {
  const target = join(import.meta.dirname, 'results', `agreement-${seed}.json`);
  if (existsSync(target)) continue;
  await mkdir(join(import.meta.dirname, 'results'), { recursive: true });
  await writeFile(target, `${JSON.stringify(await measure(seed), null, 1)}\n`);
  console.log(target);
}

async function measure(seed: number) {
  const place = {
    corpus: join(folder, 'corpora', `lambada-plain-${seed}`),
    passages: join(folder, 'data'),
    runtime: 'onnx' as const,
  };
  const cell: Cell = { id: `agreement-${seed}`, method: 'random', seed, references: 'lambada-plain', size: '1M' };
  const config = parseConfig(configOf(cell, place), cell.id);
  const lake = join(folder, 'lake');
  const { template, dataTemplate } = synthesizeMachine();
  await runMachine({
    template,
    dataTemplate,
    executionName: cell.id,
    lakeDirectory: lake,
    jobs: 1,
    threads: 1,
    input: { config: JSON.parse(JSON.stringify(config)), runId: cell.id },
  });
  const run = await openRun(storeOpener(lake), join(lake, 'runs', cell.id));
  const stages: Awaited<ReturnType<typeof measureStage>>[] = [];
  for (let stage = 0; stage < config.pretrain.stages; stage++) stages.push(await measureStage(run, stage));
  const names = Object.keys(stages[0]!.influences);
  const drift = Object.fromEntries(
    names.map((name) => [
      name,
      stages.slice(1).map(({ influences }, i) => spearman(influences[name]!, stages[i]!.influences[name]!)),
    ]),
  );
  return {
    seed,
    rows: ROWS,
    drift,
    stages: stages.map(({ influences, cost }, stage) => ({
      stage,
      cost,
      spearman: Object.fromEntries(
        names.map((a) => [a, Object.fromEntries(names.map((b) => [b, spearman(influences[a]!, influences[b]!)]))]),
      ),
    })),
  };
}

/** Influence of the same rows on a stage's checkpoint by each method, and each method's cost in forward passes. */
async function measureStage(run: Job['run'], stage: number) {
  const { config } = run.record;
  const corpus = await openRunCorpus(run);
  const plan = await readPlan(run, stage);
  const length = corpus.index.sequenceLength;
  const { probeable } = await holdOut(run, corpus, plan);
  const order = permutation(probeable.length, new CounterRandom(config.seed, 90));
  const rows = Array.from(order.subarray(0, ROWS), (i) => probeable[i]!);
  // As in a run, the rows that the control copy learns are drawn anew for each stage.
  const rest = order.subarray(ROWS);
  const drawn = permutation(rest.length, new CounterRandom(config.seed, 91 + stage)).subarray(0, 2000);
  const others = Array.from(drawn, (i) => probeable[rest[i]!]!);
  const tokens = await corpus.tokenRows(rows);
  const model = await openLanguageModel(config, corpus.index);
  const passages = await loadPassageSet(run, corpus, config.reference);
  const held = await loadPassageSet(run, corpus, config.heldOut);
  const trunk = await loadCheckpoint(run.store, armLayout(stage, 'main').checkpoint);
  const { clipNorm, learningRate } = config.pretrain;
  const cost = modelCost(config, corpus.index);
  const row = cost(1, length);
  const exact = (set: typeof passages, rate = learningRate, checkpoint = trunk) =>
    ExactProbe.create(model, checkpoint, new PassageSet(model, set), { clipNorm, learningRate: rate });
  const { signal } = new AbortController();
  const job: Job = { run, stage, arm: 'main', item: undefined, signal, progress: () => {}, warn: () => {} };
  const partial = new PartialCheckpoints(run.store, armLayout(stage, 'main').partialBranch, config.pretrain);
  const decayed = await decayBranchEnd(job, { model, corpus, plan, arm: 'main', partial }, () => {});
  const lowRate = branchRate(config.pretrain, trunk.optimizer.step)(config.pretrain.decaySteps);
  const randomRows = await corpus.tokenRows(others);
  const probes: Record<string, [probe: InfluenceProbe, perLabel: number, once: number]> = {
    'exact, 64 references': [
      await exact(passages.slice(0, 64)),
      3 + passagesCost(cost, passages.slice(0, 64)) / row,
      0,
    ],
    'exact, other 64': [await exact(passages.slice(64, 128)), 3 + passagesCost(cost, passages.slice(64, 128)) / row, 0],
    'exact, 256 references': [await exact(passages), 3 + passagesCost(cost, passages) / row, 0],
    'exact, held-out references': [
      await exact(held.slice(0, 256)),
      3 + passagesCost(cost, held.slice(0, 256)) / row,
      0,
    ],
    'exact, a tenth of the rate': [await exact(passages, learningRate / 10), 3 + passagesCost(cost, passages) / row, 0],
    'exact, decayed': [await exact(passages, lowRate, decayed), 3 + passagesCost(cost, passages) / row, 0],
    directional: [
      new DifferenceProbe(model, await directionalCopies(trunk, new PassageSet(model, passages), config, learningRate)),
      2,
      (3 * passagesCost(cost, passages)) / row,
    ],
    lookahead: [
      new DifferenceProbe(
        model,
        await lookaheadCopies(model, trunk, { config, learningRate, passages, randomRows, length }),
      ),
      2,
      6 * config.probe.lookahead.steps * config.probe.lookahead.batchRows,
    ],
  };
  const influences: Record<string, number[]> = {};
  for (const [name, [probe]] of Object.entries(probes))
    influences[name] = (await probe.influences(tokens, length)).map(({ influence }) => influence);
  return {
    influences,
    cost: Object.fromEntries(Object.entries(probes).map(([name, [, perLabel, once]]) => [name, { perLabel, once }])),
  };
}
