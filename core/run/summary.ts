import { OUR_TRAINER } from '../compare/checks.ts';
import type { ModelFields, RunConfig } from '../config/schema.ts';
import { trainingFlops } from '../cost/estimate.ts';
import { mostSelected } from '../diagnostics/selection.ts';
import { weaknessOf } from '../diagnostics/weakness.ts';
import { type ChoiceScore, type TaskScore, taskName } from '../evaluation/index.ts';
import type {
  Arm,
  ArmSummary,
  CorpusIndex,
  Evaluation,
  InfluenceFit,
  InputHash,
  PassagesCheck,
  RunSummary,
  SelectionSummary,
  StagePlan,
  TaskSummary,
  Timing,
  TrainingMetrics,
} from '../formats.ts';
import { sha256 } from '../hash.ts';
import { armLayout, PASSAGES_FILE, stageLayout } from '../layout.ts';
import { mean } from '../metrics/index.ts';
import { keepsOrder } from '../plan/stage-plan.ts';
import { methodTraits } from '../selection/methods.ts';
import type { ScorerRecord } from '../selection/scorer-record.ts';
import { methodLabel } from '../selection/weighted-scores.ts';
import { getJson, getJsonIfPresent, jsonText } from '../storage/index.ts';
import type { TaskName } from '../tasks.ts';
import { inputsOf } from './inputs.ts';
import { openRunCorpus, type Run, readPlan } from './open-run.ts';
import { busySeconds, readTimings, secondsAtWork, taskOf } from './timings.ts';

/** Tasks of a stage that choose its rows. */
const SELECTION_TASKS: readonly (TaskName | undefined)[] = ['prepare-probe', 'probe', 'fit-influence', 'score'];

/** Gathers the numbers of the closing table from the files of a finished run. */
export async function summarise(run: Run): Promise<RunSummary> {
  const { id, config, versions } = run.record;
  const corpus = await openRunCorpus(run);
  const stages: RunSummary['stages'] = [];
  for (let stage = 0; stage < config.pretrain.stages; stage++) {
    const plan = await readPlan(run, stage);
    const fit = await getJsonIfPresent<InfluenceFit>(run.store, stageLayout(stage).fit);
    const selection = await getJson<SelectionSummary>(run.store, armLayout(stage, 'main').selectionSummary);
    const timings = await readTimings(run.store, stage);
    const selecting = timings.filter((timing) => SELECTION_TASKS.includes(taskOf(timing.job)));
    stages.push({
      stage,
      scored: plan.scored,
      consumedRows: plan.consumedRows,
      selectedRows: selection.selectedRows,
      poolRows: selection.poolRows,
      seconds: busySeconds(timings),
      selectionSeconds: busySeconds(selecting),
      selectionFlops: selecting.reduce((sum, { flops }) => sum + flops, 0),
      spearman: fit?.spearman,
      spearmanInterval: fit?.spearmanInterval,
      freshSpearman: fit?.freshSpearman,
      staleSpearman: fit?.staleSpearman,
      method: selection.method,
      mostSelected: mostSelected(selection),
      warnings: await warningsOf(run, plan, selection, fit),
      main: await armSummary(run, corpus.index, { stage, arm: 'main', timings }),
      control: plan.arms.includes('control')
        ? await armSummary(run, corpus.index, { stage, arm: 'control', timings })
        : undefined,
    });
  }
  const { method } = config.selection;
  const inputs = await inputsOf(run);
  const passages = await getJsonIfPresent<PassagesCheck>(run.store, PASSAGES_FILE);
  return {
    format: 'mates-summary/1',
    runId: id,
    name: config.name,
    method,
    label: methodLabel(config.selection),
    seed: config.seed,
    data: {
      corpus: corpusHash(config, corpus.index),
      texts: sha256(JSON.stringify(corpus.index.inputs.map((input) => input.sha256).sort())),
      heldOut: passagesHash(config.heldOut, inputs),
      reference: passagesHash(config.reference, inputs),
      settings: settingsHash(config),
      tasks: taskHashes(config, inputs),
      trainer: versions.trainer ?? OUR_TRAINER,
      rows: rowsHash(corpus.index),
      tokenizer: givenTokenizer(config, corpus.index),
      choice: choiceHash(config),
    },
    warnings: passages?.warnings ?? [],
    stages,
  };
}

/** SHA-256 of `corpus.json`, without a field that came later, and with the run's seed if that has dealt its shards anew. */
function corpusHash(config: RunConfig, index: CorpusIndex): string {
  const { seed: _, ...older } = index;
  return sha256(jsonText(keepsOrder(config, index) ? older : { ...older, seed: config.seed }));
}

/** Fields of `pretrain` that no loss depends on, or that runs may differ in. */
const NOT_OF_LOSSES = ['stages', 'microBatchRows', 'checkpointEverySteps', 'checkpointEveryMinutes'];

/**
 * Fields of `model` that came later, with what they were before: left out, so that such a run can be compared with
 * older ones.
 */
const LATER_FIELDS: Partial<ModelFields<'gpt-neox'>> = {
  activation: 'gelu',
  attentionBias: true,
  tiedEmbeddings: false,
};

/**
 * SHA-256 of the settings that losses depend on whatever the method. It leaves out what compared runs may differ in:
 * the number of stages, as a random run may go on for more; what is in memory or on a disk at once; and tasks, which no
 * loss is measured on.
 */
export function settingsHash({ model: all, pretrain, pools, evaluation: { rowsPerDomain } }: RunConfig): string {
  const model = Object.fromEntries(
    Object.entries(all).filter(([name, value]) => LATER_FIELDS[name as keyof typeof LATER_FIELDS] !== value),
  );
  const training = Object.entries(pretrain).filter(([name]) => !NOT_OF_LOSSES.includes(name));
  return sha256(JSON.stringify({ model, training, pools, rowsPerDomain }));
}

/** SHA-256 of what a row is: a loss per token depends on it. */
function rowsHash({ sequenceLength, tokenizer: { vocabularySize } }: CorpusIndex): string {
  return sha256(JSON.stringify({ sequenceLength, vocabularySize }));
}

/** One that was trained differs with the texts of each seed, and how that of a prepared corpus came about is not known. */
const givenTokenizer = ({ corpus }: RunConfig, { tokenizer }: CorpusIndex): string | undefined =>
  corpus.prepared === undefined && 'file' in corpus.tokenizer ? tokenizer.sha256 : undefined;

/** How probing is cut into jobs, and how often these save, changes no choice: here every run has the defaults. */
const SPLIT: Pick<RunConfig['probe'], 'jobs' | 'flushEvery'> = { jobs: 2, flushEvery: 50 };

/** SHA-256 of what rows are chosen by; for random rows and for training on references, only the selection counts. */
function choiceHash({ probe, influenceModel, selection }: RunConfig): string {
  const scored = methodTraits(selection.method).score !== undefined;
  return sha256(JSON.stringify(scored ? { probe: { ...probe, ...SPLIT }, influenceModel, selection } : { selection }));
}

/** Which items each task has, and how they are put. */
function taskHashes(
  { evaluation: { tasks } }: RunConfig,
  inputs: readonly InputHash[],
): Record<string, string> | undefined {
  if (tasks.length === 0) return undefined;
  const hash = ({ file, delimiter, limit }: (typeof tasks)[number]) =>
    sha256(JSON.stringify({ file: hashOf(file, inputs), delimiter, limit }));
  return Object.fromEntries(tasks.map((task) => [task.name ?? taskName(task.file), hash(task)]));
}

const hashOf = (input: string, inputs: readonly InputHash[]) => inputs.find(({ uri }) => uri === input)!.sha256;

function passagesHash({ input, passages, target }: RunConfig['heldOut'], inputs: readonly InputHash[]): string {
  return sha256(JSON.stringify({ file: hashOf(input, inputs), passages, target }));
}

async function warningsOf(
  run: Run,
  { stage, scored, scorerStage }: StagePlan,
  { method }: SelectionSummary,
  own: InfluenceFit | undefined,
): Promise<string[]> {
  const { selection } = await getJson<Evaluation>(run.store, armLayout(stage, 'main').evaluation);
  const configured = run.record.config.selection.method;
  const scorer = await getJsonIfPresent<ScorerRecord>(run.store, stageLayout(stage).scorer);
  // A stage may keep the scorer of an earlier one, whose fit then tells of it.
  const fit =
    scorerStage === stage ? own : await getJsonIfPresent<InfluenceFit>(run.store, stageLayout(scorerStage).fit);
  const ofProbe = fit || scorer?.weak === undefined ? undefined : `the probe is weak: ${scorer.weak}`;
  const weak = fit ? weaknessOf(fit) : ofProbe;
  const sentence = weak === undefined ? [] : [`${weak[0]!.toUpperCase()}${weak.slice(1)}.`];
  const replaced = scored && method !== configured ? [`Rows were selected by ${method} instead of ${configured}.`] : [];
  return [[...sentence, ...replaced].join(' '), ...(selection?.warnings ?? [])].filter((warning) => warning !== '');
}

async function armSummary(
  run: Run,
  corpus: CorpusIndex,
  { stage, arm, timings }: { stage: number; arm: Arm; timings: Timing[] },
): Promise<ArmSummary> {
  const layout = armLayout(stage, arm);
  const { loss, tokens } = await getJson<TrainingMetrics>(run.store, layout.metrics);
  const evaluation = await getJson<Evaluation>(run.store, layout.evaluation);
  const { tasks, taskMean } = evaluation;
  const tail = loss.slice(-Math.ceil(loss.length / 10)); // one step's loss is noisy
  // A custom trainer records none.
  const training = timings.find(({ job }) => job === `pretrain-${arm}`);
  return {
    tokens: (stage + 1) * tokens,
    trainingFlops: training?.flops ?? trainingFlops(run.record.config, corpus),
    trainingSeconds: training && secondsAtWork(training),
    referenceLoss: evaluation.referenceLoss,
    heldOutLoss: evaluation.heldOutLoss,
    mixedDomainLoss: evaluation.mixedDomainLoss,
    trainingLoss: mean(tail),
    tasks: tasks?.map(withoutAnswers),
    taskMean,
  };
}

function withoutAnswers(score: TaskScore): TaskSummary {
  const { correct: _, correctNorm: __, ...summary } = score as ChoiceScore;
  return summary as TaskSummary;
}
