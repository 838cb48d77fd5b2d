/** Where each file of a run is, relative to the run's URI: one place for writers and readers. */
import type { Arm } from './formats.ts';

export const RUN_FILE = 'run.json';
/** The prepared corpus of a run that prepares its own. */
export const CORPUS_FOLDER = 'corpus';
/** How the reference and held-out passages are written, beside the corpus. */
export const PASSAGES_FILE = 'passages.json';
/** Hashes of the files that the run reads beside the corpus's texts. */
export const INPUTS_FILE = 'inputs.json';
export const MANIFEST_FILE = 'manifest.json';
export const SUMMARY_FILE = 'summary.json';
export const REPORT_FILE = 'report.html';
/** One file for each execution on AWS that has worked on the run; see functions/validate-run/lease.ts. */
export const EXECUTIONS_FOLDER = 'executions';
export const executionFile = (number: number) => `${EXECUTIONS_FOLDER}/${pad(number)}.json`;

/** What SageMaker itself writes of a stage's training job: its checkpoints' and its model's place, which the trainer leaves empty. */
export const SAGEMAKER_FOLDER = 'sagemaker';

/** A folder of resumable checkpoints, each of which the next one supersedes. */
export const PARTIAL_FOLDER = 'partial-checkpoint/';
/** What objects in such a folder are tagged with on S3, whose lifecycle can tell them by a tag, and not by the middle of a key. */
export const PARTIAL_TAG = { key: 'mates-partial', value: 'true' };

export const INTERRUPTED_SUFFIX = '.interrupted.json';

export function stageLayout(stage: number) {
  const root = `stages/${stage}`;
  return {
    root,
    plan: `${root}/plan.json`,
    probeItems: `${root}/probe-items.json`,
    scoreItems: `${root}/score-items.json`,
    /** What the probing jobs share of a prepared probe; `probe.json` is written last. */
    probeModel: `${root}/probe-model`,
    /** Resumable checkpoints of the decay branch that is probed. */
    partialProbeModel: `${root}/probe-model/${PARTIAL_FOLDER}`,
    /** One Parquet a probing job: row, loss, baseline, influence. */
    probes: `${root}/probes/`,
    probe: (index: number) => `${root}/probes/${pad(index)}.parquet`,
    /** What a probing job has flushed so far. */
    probePartial: (index: number) => `${root}/probes/${pad(index)}.partial.json`,
    timings: `${root}/timings/`,
    timing: (job: string) => `${root}/timings/${job}.json`,
    /** Attempts of a job that has not ended: what it took has been paid for. */
    interrupted: (job: string) => `${root}/timings/${job}${INTERRUPTED_SUFFIX}`,
    influenceModel: `${root}/influence-model`,
    /** Where the fit of a BERT resumes. */
    partialInfluenceModel: `${root}/influence-model/${PARTIAL_FOLDER}`,
    fit: `${root}/influence-model/fit.json`,
    /** DSIR's log-weights by bucket, where they are part of a score. */
    dsir: `${root}/dsir.json`,
    /** The linear classifier of reference passages, where its score is part of a score. */
    classifier: `${root}/classifier.json`,
    /** What a row's utility is made of; the last that fitting writes. */
    scorer: `${root}/scorer.json`,
    scores: `${root}/scores/`,
    /** One scoring job's scores, keys and histogram; see core/selection. */
    score: (index: number) => `${root}/scores/${pad(index)}`,
  };
}

/** The main arm's files lie in the stage's folder, the control's in a folder of their own. */
export function armLayout(stage: number, arm: Arm) {
  const root = arm === 'main' ? `stages/${stage}` : `stages/${stage}/control`;
  return {
    root,
    /** Parquet: row, domain, utility, key. */
    selection: `${root}/selection.parquet`,
    selectionSummary: `${root}/selection.json`,
    /** Hugging Face files plus the optimizer's state; `training.json` is written last and marks it whole. */
    checkpoint: `${root}/checkpoint`,
    /** Resumable checkpoints inside the stage, one folder a step; the newest whole one counts. */
    partialCheckpoints: `${root}/${PARTIAL_FOLDER}`,
    /** The same of the decay branch that is evaluated. */
    partialBranch: `${root}/decay-branch/${PARTIAL_FOLDER}`,
    metrics: `${root}/metrics.json`,
    evaluation: `${root}/evaluation.json`,
  };
}

/** The last file of a checkpoint, which says that it is whole. */
export const TRAINING_FILE = 'training.json';
export const checkpointMark = (checkpoint: string) => `${checkpoint}/${TRAINING_FILE}`;

const pad = (index: number) => String(index).padStart(5, '0');
