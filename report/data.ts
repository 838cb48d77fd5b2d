import type {
  Arm,
  CorpusIndex,
  Evaluation,
  InfluenceFit,
  PassagesCheck,
  RunRecord,
  SelectionSummary,
  StagePlan,
  TrainingMetrics,
} from '../core/formats.ts';
import { armLayout, CORPUS_FILE, PASSAGES_FILE, stageLayout } from '../core/layout.ts';
import { mapParallel } from '../core/parallel.ts';
import { corpusStore, openRun, type Run } from '../core/run/open-run.ts';
import { busySeconds, readTimings } from '../core/run/timings.ts';
import type { ScorerRecord } from '../core/selection/scorer-record.ts';
import { getJsonIfPresent, type Store, type StoreOpener } from '../core/storage/index.ts';

const STAGES_AT_ONCE = 8;

/** Everything the report shows, as plain values; whatever a run has not written yet is undefined. */
export interface ReportData {
  record: RunRecord;
  corpus?: CorpusIndex;
  passages?: PassagesCheck;
  stages: StageReport[];
}

export interface StageReport {
  stage: number;
  plan?: StagePlan;
  fit?: InfluenceFit;
  /** Why the probe should not be trusted, if rows are scored by it rather than by an influence model. */
  weakProbe?: string;
  main: ArmReport;
  /** Empty for a stage that both arms share. */
  control: ArmReport;
  /** Seconds in which any of the stage's jobs ran. */
  seconds?: number;
}

export interface ArmReport {
  metrics?: TrainingMetrics;
  evaluation?: Evaluation;
  selection?: SelectionSummary;
}

/**
 * Reads what a run has written so far; a run in progress is not an error.
 *
 * @throws InputError when there is no run at the URI.
 */
export async function collectReportData(open: StoreOpener, runUri: string): Promise<ReportData> {
  const run = await openRun(open, runUri);
  const { store, record } = run;
  const numbers = Array.from({ length: record.config.pretrain.stages }, (_, stage) => stage);
  const [corpus, passages, stages] = await Promise.all([
    collectCorpus(run),
    getJsonIfPresent<PassagesCheck>(store, PASSAGES_FILE),
    mapParallel(numbers, STAGES_AT_ONCE, (stage) => collectStage(store, stage)),
  ]);
  return { record, corpus, passages, stages };
}

/** The corpus may be where this process cannot read it; the report then says so instead of failing. */
function collectCorpus(run: Run): Promise<CorpusIndex | undefined> {
  return getJsonIfPresent<CorpusIndex>(corpusStore(run), CORPUS_FILE).catch(() => undefined);
}

async function collectStage(store: Store, stage: number): Promise<StageReport> {
  const layout = stageLayout(stage);
  const [plan, fit, scorer, main, control, seconds] = await Promise.all([
    getJsonIfPresent<StagePlan>(store, layout.plan),
    getJsonIfPresent<InfluenceFit>(store, layout.fit),
    getJsonIfPresent<ScorerRecord>(store, layout.scorer),
    collectArm(store, stage, 'main'),
    collectArm(store, stage, 'control'),
    collectSeconds(store, stage),
  ]);
  // A scorer that is kept from an earlier stage may be an influence model, of which that stage's fit tells.
  const { scorerStage = stage } = plan ?? {};
  const fitted =
    scorerStage === stage ? fit : await getJsonIfPresent<InfluenceFit>(store, stageLayout(scorerStage).fit);
  return { stage, plan, fit, weakProbe: fitted ? undefined : scorer?.weak, main, control, seconds };
}

async function collectArm(store: Store, stage: number, arm: Arm): Promise<ArmReport> {
  const layout = armLayout(stage, arm);
  const [metrics, evaluation, selection] = await Promise.all([
    getJsonIfPresent<TrainingMetrics>(store, layout.metrics),
    getJsonIfPresent<Evaluation>(store, layout.evaluation),
    getJsonIfPresent<SelectionSummary>(store, layout.selectionSummary),
  ]);
  return { metrics, evaluation, selection };
}

async function collectSeconds(store: Store, stage: number): Promise<number | undefined> {
  const timings = await readTimings(store, stage);
  return timings.length > 0 ? busySeconds(timings) : undefined;
}

/** What a stage should have written but has not, in words; empty if the stage is complete. */
export function missingParts(stage: StageReport): string[] {
  const { plan, fit, main, control } = stage;
  if (!plan) return ['everything'];
  const missing: [boolean, string][] = [
    [plan.probes > 0 && !fit, 'influence model'],
    [!main.selection, 'selection'],
    [!main.metrics, 'pretraining'],
    [!main.evaluation, 'evaluation'],
    [plan.arms.includes('control') && !control.selection, 'control selection'],
    [plan.arms.includes('control') && !control.metrics, 'control pretraining'],
    [plan.arms.includes('control') && !control.evaluation, 'control evaluation'],
  ];
  return missing.filter(([lacks]) => lacks).map(([, what]) => what);
}

/** The control's evaluation of a stage; while both arms share it, this is the main arm's. */
export function controlEvaluation(stage: StageReport): Evaluation | undefined {
  return isShared(stage) ? stage.main.evaluation : stage.control.evaluation;
}

/** Whether the stage was trained once for both arms (the random first stage). */
export const isShared = (stage: StageReport) => stage.plan !== undefined && !stage.plan.arms.includes('control');
