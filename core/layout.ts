/** Where each file of a run is, relative to the run's URI, defined once for writers and readers. */
import type { Arm } from './formats.ts';

export const RUN_FILE = 'run.json';
/** Of a prepared corpus. */
export const CORPUS_FILE = 'corpus.json';
export const TOKENIZER_FILE = 'tokenizer.json';
/** The prepared corpus of a run that prepares its own. */
export const CORPUS_FOLDER = 'corpus';
/** How the text of the reference and held-out passages compares with the corpus. */
export const PASSAGES_FILE = 'passages.json';
/** Hashes of the files that the run reads besides the corpus's texts. */
export const INPUTS_FILE = 'inputs.json';
/** In a work folder of `mates select`: what its files were made of. */
export const SELECT_FILE = 'select.json';
export const MANIFEST_FILE = 'manifest.json';
export const SUMMARY_FILE = 'summary.json';
export const REPORT_FILE = 'report.html';
/** One file for each execution on AWS that has worked on the run; see functions/validate-run/lease.ts. */
export const EXECUTIONS_FOLDER = 'executions';
export const executionFile = (number: number) => `${EXECUTIONS_FOLDER}/${pad(number)}.json`;

/**
 * Where SageMaker itself puts a training job's checkpoints and model, in a stage's folder; the trainer leaves it empty.
 */
export const SAGEMAKER_FOLDER = 'sagemaker';

/** A folder of resumable checkpoints, each of which the next one supersedes. */
export const PARTIAL_FOLDER = 'partial-checkpoint/';
/** The tag of objects in such a folder on S3: a lifecycle rule can match a tag, but not the middle of a key. */
export const PARTIAL_TAG = { key: 'mates-partial', value: 'true' };

export const INTERRUPTED_SUFFIX = '.interrupted.json';

/** @param stage `*` gives patterns of keys. */
export function stageLayout(stage: number | '*') {
  const root = `stages/${stage}`;
  return {
    root,
    plan: `${root}/plan.json`,
    probeItems: `${root}/probe-items.json`,
    scoreItems: `${root}/score-items.json`,
    /** The prepared probe that the probing jobs share; `probe.json` is written last. */
    probeModel: `${root}/probe-model`,
    /** Resumable checkpoints of the decay branch that is probed. */
    partialProbeModel: `${root}/probe-model/${PARTIAL_FOLDER}`,
    /** One Parquet file for each probing job: row, loss, baseline, influence. */
    probes: `${root}/probes/`,
    probe: (index: number) => `${root}/probes/${pad(index)}.parquet`,
    /** What a probing job has flushed so far. */
    probePartial: (index: number) => `${root}/probes/${pad(index)}.partial.json`,
    timings: `${root}/timings/`,
    timing: (job: string) => `${root}/timings/${job}.json`,
    /** The attempts of a job that has not ended yet: their time has been paid for. */
    interrupted: (job: string) => `${root}/timings/${job}${INTERRUPTED_SUFFIX}`,
    influenceModel: `${root}/influence-model`,
    /** Checkpoints from which the fit of a BERT resumes. */
    partialInfluenceModel: `${root}/influence-model/${PARTIAL_FOLDER}`,
    fit: `${root}/influence-model/fit.json`,
    /** DSIR's log-weights by bucket, if they are part of the score. */
    dsir: `${root}/dsir.json`,
    /** The linear classifier of reference passages, if it is part of the score. */
    classifier: `${root}/classifier.json`,
    /** What a row's utility is made of; the last file that fitting writes. */
    scorer: `${root}/scorer.json`,
    scores: `${root}/scores/`,
    /** One scoring job's scores, keys and histogram; see core/selection. */
    score: (index: number) => `${root}/scores/${pad(index)}`,
  };
}

/**
 * The main arm's files lie in the stage's folder, the control's in a folder of their own.
 *
 * @param stage `*` gives patterns of keys.
 */
export function armLayout(stage: number | '*', arm: Arm) {
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
    /** The same for the decay branch that is evaluated. */
    partialBranch: `${root}/decay-branch/${PARTIAL_FOLDER}`,
    metrics: `${root}/metrics.json`,
    evaluation: `${root}/evaluation.json`,
  };
}

/** The last file of a BERT to be written, in its stage's influence-model/. */
export const INFLUENCE_MODEL_FILE = 'influence-model.json';

/** The last file of a checkpoint to be written: its presence says that the checkpoint is complete. */
export const TRAINING_FILE = 'training.json';
export const checkpointMark = (checkpoint: string) => `${checkpoint}/${TRAINING_FILE}`;

const pad = (index: number) => String(index).padStart(5, '0');
