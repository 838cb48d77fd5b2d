/**
 * Writes a small made-up run directory: numbers of a plausible shape and sentences about nothing, for the report's tests
 * alone. `npx tsx test/report/fixture.ts DIRECTORY` writes it, and its report, to look at.
 */
import { pathToFileURL } from 'node:url';
import { type RunConfigInput, runConfig } from '../../core/config/schema.ts';
import type {
  Arm,
  CorpusIndex,
  Evaluation,
  ExtremeDocument,
  Extremes,
  InfluenceFit,
  RunRecord,
  SelectionSummary,
  StagePlan,
  TrainingMetrics,
} from '../../core/formats.ts';
import { armLayout, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { CounterRandom } from '../../core/random/philox.ts';
import { DirectoryStore, putJson, type Store, storeOpener } from '../../core/storage/index.ts';
import { writeReport } from '../../report/index.ts';

/** Name, share of the pool, how much the made-up selection likes it (log2 lift), loss. */
const DOMAINS: [string, number, number, number][] = [
  ['novels', 0.17, 1.35, 4.9],
  ['speeches', 0.15, 0.4, 4.4],
  ['linux-documentation', 0.14, -0.6, 4.1],
  ['mail', 0.12, 0.7, 5.2],
  ['python-manual', 0.11, -0.8, 4.0],
  ['changelogs', 0.1, -2.4, 3.6],
  ['dictionary', 0.09, -1.1, 4.7],
  ['poems', 0.06, 0.9, 5.6],
  ['shuffled-words', 0.04, -2.9, 6.3],
  ['mixed', 0.02, 0.05, 4.8],
];

export interface FixtureOptions {
  stages?: number;
  stepsPerStage?: number;
  control?: 'random' | 'none';
  /** Stages before this one are complete; it has trained the main arm only. */
  stopAt?: number;
  /** Makes the main run worse and the influence model doubtful. */
  poor?: boolean;
  /** Replaces the best row's text and domain. */
  hostile?: { text: string; domain: string };
  /** Zero-shot tasks in the configuration and the evaluations. */
  tasks?: boolean;
}

/** Writes the fixture; the same options give the same bytes. */
export async function writeFixture(store: Store, options: FixtureOptions = {}): Promise<void> {
  const {
    stages = 4,
    stepsPerStage = 120,
    control = 'random',
    stopAt = stages,
    poor = false,
    hostile,
    tasks = false,
  } = options;
  const random = new CounterRandom(7, 0);
  let draws = 0;
  const normal = () => random.normal(draws++);
  const domains = hostile ? [[hostile.domain, 0.1, 1, 5] as (typeof DOMAINS)[number], ...DOMAINS] : DOMAINS;

  const config: RunConfigInput = {
    name: 'report-fixture',
    seed: 7,
    corpus: { input: ['fixture/*.jsonl'], sequenceLength: 128, shards: 40 },
    reference: { input: 'fixture/reference.jsonl' },
    heldOut: { input: 'fixture/held-out.jsonl' },
    pretrain: { stages, stepsPerStage },
    evaluation: { tasks: tasks ? [{ file: 'quiz.jsonl' }, { file: 'names.jsonl' }, { file: 'words.jsonl' }] : [] },
    control,
  };
  const record: RunRecord = {
    format: 'mates-run/1',
    id: 'report-fixture-7',
    config: runConfig.parse(config),
    corpus: 'corpus',
    versions: { mates: '0.1.0', node: '20.19.0', 'onnxruntime-node': '1.30.0' },
  };
  await putJson(store, RUN_FILE, record);
  await putJson(store, 'corpus/corpus.json', corpusIndex());

  for (let stage = 0; stage < Math.min(stages, stopAt + 1); stage++) {
    const complete = stage < stopAt;
    const scored = stage > 0;
    const arms: Arm[] = scored && control === 'random' ? ['main', 'control'] : ['main'];
    const poolRows = scored ? 4870 : 1210;
    const plan: StagePlan = {
      format: 'mates-stage-plan/1',
      stage,
      scored,
      arms,
      poolShards: [stage],
      holdOutShards: [39],
      poolRows,
      holdOutRows: 1200,
      selectedRows: scored ? Math.round(poolRows * 0.2) : stepsPerStage * 8,
      consumedRows: stepsPerStage * 8,
      steps: stepsPerStage,
      firstStep: stage * stepsPerStage,
      preparesProbe: false,
      scorerStage: stage,
      probes: scored ? 400 : 0,
      probeItems: scored ? 2 : 0,
      scoreItems: scored ? 2 : 0,
    };
    await putJson(store, stageLayout(stage).plan, plan);
    if (scored) {
      await putJson(store, stageLayout(stage).fit, influenceFit(stage));
      await putJson(store, stageLayout(stage).timing('score-00000'), {
        job: 'score-00000',
        begin: 1e12,
        seconds: 3.4 + stage,
        flops: 2e9,
      });
    }
    await putJson(store, stageLayout(stage).timing('pretrain-main'), {
      job: 'pretrain-main',
      begin: 1e12 + 1e5,
      seconds: 21.7 + stage,
      flops: 6e9,
    });
    for (const arm of complete ? arms : arms.slice(0, 1)) {
      const layout = armLayout(stage, arm);
      await putJson(store, layout.selectionSummary, selection(plan, arm));
      await putJson(store, layout.metrics, metrics(stage, arm));
      if (complete) await putJson(store, layout.evaluation, evaluation(stage, arm));
    }
  }

  function metrics(stage: number, arm: Arm): TrainingMetrics {
    const offset = stage === 0 ? 0 : arm === 'main' ? 0.12 : 0;
    const loss = Array.from({ length: stepsPerStage }, (_, i) => {
      const step = stage * stepsPerStage + i;
      return (
        4.6 + 3.1 * Math.exp(-step / (stepsPerStage * 0.35)) - 0.0011 * Math.min(step, 400) + offset + 0.09 * normal()
      );
    });
    return {
      format: 'mates-training/1',
      firstStep: stage * stepsPerStage,
      loss,
      gradientNorm: loss.map(() => 1 + 0.1 * normal()),
      learningRate: loss.map(() => 1e-3),
      tokens: stepsPerStage * 8 * 128,
    };
  }

  function evaluation(stage: number, arm: Arm): Evaluation {
    const gain = arm === 'main' ? (poor ? 0.03 : -0.06) * stage : 0;
    return {
      format: 'mates-evaluation/1',
      step: (stage + 1) * stepsPerStage,
      decaySteps: 20,
      referenceLoss: 5.31 - 0.14 * stage ** 0.7 + gain,
      heldOutLoss: 5.36 - 0.13 * stage ** 0.7 + gain * 0.85,
      mixedDomainLoss: 4.72 - 0.12 * stage ** 0.7 - gain * 0.5,
      ...(tasks && taskScores(stage, arm)),
      domainLoss: Object.fromEntries(
        domains.map(([name, , like, loss]) => [
          name,
          { loss: loss - 0.1 * stage ** 0.7 - (arm === 'main' ? 0.035 * like * stage : 0), rows: 24 },
        ]),
      ),
    };
  }

  function taskScores(stage: number, arm: Arm): Pick<Evaluation, 'tasks' | 'taskMean'> {
    const right = stage + (arm === 'main' ? 3 : 1); // of 10
    const correct = '1'.repeat(right).padEnd(10, '0');
    const accuracy = { acc: right / 10, accStderr: 0.15 };
    const normed = { accNorm: right / 10, accNormStderr: 0.15 };
    const perplexity = { perplexity: 1234567 / (stage + 1), perplexityStderr: 1234 };
    return {
      tasks: [
        { task: 'quiz', layout: 'choices', items: 10, ...accuracy, ...normed, correct, correctNorm: correct },
        { task: 'names', layout: 'contexts', items: 10, ...accuracy, correct },
        { task: 'words', layout: 'continuation', items: 10, ...perplexity, ...accuracy, loss: 9.5, correct },
        {
          task: 'lines',
          layout: 'text',
          items: 2,
          wordPerplexity: 900,
          bytePerplexity: 4,
          bitsPerByte: 2 - stage / 10,
        },
      ],
      taskMean: { tasks: 2, ...accuracy, ...normed },
    };
  }

  function influenceFit(stage: number): InfluenceFit {
    const spearman = poor ? 0.06 : 0.86 - 0.25 * 0.8 ** stage;
    const epochs = Array.from({ length: 10 }, (_, i) => ({
      epoch: i + 1,
      trainLoss: 1 - 0.07 * i,
      validationSpearman: spearman * (1 - Math.exp(-(i + 1) / 2.5)) + 0.02 * normal() - (i > 6 ? 0.012 * (i - 6) : 0),
    }));
    const best = epochs.reduce((a, b) => (b.validationSpearman > a.validationSpearman ? b : a));
    return {
      format: 'mates-influence-fit/1',
      splitBy: 'document',
      documents: { fit: 280, validation: 40, test: 80 },
      mean: -0.00021,
      std: 0.0013,
      spearman,
      spearmanInterval: poor ? [-0.14, 0.27] : [spearman - 0.13, spearman + 0.1],
      pearson: spearman - 0.02,
      freshSpearman: stage > 1 ? spearman - 0.02 : undefined,
      staleSpearman: stage > 1 ? spearman - 0.23 : undefined,
      epochs,
      bestEpoch: best.epoch,
    };
  }

  function selection(plan: StagePlan, arm: Arm): SelectionSummary {
    const byInfluence = plan.scored && arm === 'main';
    const poolDomains: Record<string, number> = {};
    const selectedDomains: Record<string, number> = {};
    const weights = domains.map(([, share, like]) => share * 2 ** (byInfluence ? like * (1 - 0.18 * plan.stage) : 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    domains.forEach(([name, share], i) => {
      poolDomains[name] = Math.round(share * plan.poolRows * (1 + 0.03 * normal()));
      selectedDomains[name] = Math.round((weights[i]! / total) * plan.selectedRows);
    });
    const edges = Array.from({ length: 41 }, (_, i) => -3 + i * 0.15);
    const pool = edges
      .slice(1)
      .map((edge) => Math.round(plan.poolRows * 0.062 * Math.exp(-((edge + 0.1 * plan.stage) ** 2) / 1.6)));
    const selected = pool.map((rows, i) => Math.round(rows / (1 + Math.exp(-(edges[i]! - 1.1) * 2))));
    return {
      format: 'mates-selection/1',
      method: byInfluence ? 'influence' : 'random',
      poolRows: plan.poolRows,
      selectedRows: plan.selectedRows,
      temperature: 0.5,
      gumbel: 'exact',
      seed: 7,
      stage: plan.stage,
      threshold: 2.31,
      tiesKept: 1,
      poolDomains,
      selectedDomains,
      ...(byInfluence ? { histogram: { edges, pool, selected }, extremes: extremes(plan.stage) } : {}),
      file: { key: `${armLayout(plan.stage, arm).selection}`, bytes: 1000, sha256: 'f'.repeat(64) },
    };
  }

  function extremes(stage: number): Extremes {
    const rows = (sign: 1 | -1): ExtremeDocument[] =>
      Array.from({ length: 8 }, (_, i) => ({
        row: 9000 * stage + 37 * i + (sign > 0 ? 0 : 11),
        utility: sign * (2.9 - 0.11 * i),
        domain: sign > 0 ? domains[i % 3]![0] : domains[5 + (i % 4)]![0],
        text: sentences(stage + i, sign > 0 ? i % 3 : 3 + (i % 3)),
      }));
    const highest = rows(1);
    if (hostile) Object.assign(highest[0]!, { utility: 99, ...hostile });
    return { highest, lowest: rows(-1) };
  }

  function corpusIndex(): CorpusIndex {
    const file = { key: 'shards/00000', bytes: 10, sha256: '0'.repeat(64) };
    return {
      format: 'mates-corpus/1',
      sequenceLength: 128,
      dtype: 'uint16',
      tokenizer: { key: 'tokenizer.json', sha256: 'a'.repeat(64), vocabularySize: 2048, endOfText: 0 },
      rows: 17_020,
      documents: 6_214,
      tokens: 17_020 * 128,
      droppedTokens: 901,
      duplicatesRemoved: 12,
      emptyRemoved: 3,
      excludedRemoved: 1,
      domains: domains.map(([name, share]) => ({ name, rows: Math.round(share * 17_020) })),
      shards: [{ firstRow: 0, rows: 17_020, tokens: file, text: file, domains: file }],
      inputs: [{ uri: 'fixture/documents.jsonl', bytes: 9_120_331, sha256: 'b'.repeat(64), documents: 6_230 }],
      fingerprint: 'c'.repeat(64),
    };
  }
}

const SENTENCES = [
  'She put the letter down upon the table, and for a long while neither of them said a word about it.',
  'He had walked the same road every evening of that summer, and had never once met the man he was looking for.',
  'The members of this house know what the country expects of them, and I have no doubt that they will give it.',
  '  * fixed: the build failed when the path had a space in it (closes #0000)\n  * bumped the standards version, no changes needed',
  'lamp under of seven the quickly a harbour never green because into of of the sat',
  'PEBBLE, n. A small stone, worn round by water. [Made-up entry of a test fixture.]',
];

const sentences = (from: number, kind: number) =>
  Array.from({ length: 3 + (from % 5) }, (_, i) => SENTENCES[i % 2 ? kind : (kind + (i % 3 ? 0 : from % 2)) % 6]).join(
    ' ',
  );

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const directory = process.argv[2] ?? 'out/report-fixture';
  await writeFixture(new DirectoryStore(directory));
  await writeReport(new DirectoryStore(directory), storeOpener());
}
