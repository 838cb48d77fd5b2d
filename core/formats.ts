/** The JSON files of a corpus and a run, as other programs will read them. `docs/formats.md` describes each. */
import type { RunConfig } from './config/schema.ts';
import type { ChoiceScore, ContinuationScore, MeanScore, TaskScore, TextScore } from './evaluation/index.ts';
import type { Method } from './selection/methods.ts';

/** `corpus.json`: describes a prepared corpus. */
export interface CorpusIndex {
  format: 'mates-corpus/1';
  /** Tokens in a row. */
  sequenceLength: number;
  /** Token type on disk, little-endian. */
  dtype: 'uint16' | 'uint32';
  tokenizer: { key: 'tokenizer.json'; sha256: string; vocabularySize: number; endOfText: number };
  rows: number;
  documents: number;
  /** Tokens in the rows, counting the end-of-text token after each document. */
  tokens: number;
  /** Tokens of the last, incomplete row of each shard. */
  droppedTokens: number;
  duplicatesRemoved: number;
  /** Present if near-duplicates were removed. */
  nearDuplicatesRemoved?: number;
  /** Documents that were empty or only spaces. */
  emptyRemoved: number;
  /** Documents that are, word for word, a reference or held-out passage. */
  excludedRemoved: number;
  /**
   * `textHash` of each passage that was to be kept out, whether or not a document was one, ascending. Absent in older
   * files.
   */
  excluded?: string[];
  /** Ordered by name; a row made of the ends of several domains is `mixed`. */
  domains: { name: string; rows: number }[];
  /** In order: each shard's row numbers continue from those of the one before. */
  shards: CorpusShard[];
  inputs: { uri: string; bytes: number; sha256: string; documents: number }[];
  /** By which documents were dealt to shards. Absent in older files. */
  seed?: number;
  /** sha256 of the inputs' hashes and every setting: preparing again with the same one does nothing. */
  fingerprint: string;
}

export interface CorpusShard {
  /** Global number of the shard's first row. */
  firstRow: number;
  rows: number;
  /** Token rows, `rows x sequenceLength` of dtype. */
  tokens: FileRecord;
  /** Parquet with columns row (INT64), text, domain, documents (a JSON array of ids). */
  text: FileRecord;
  /** Each row's domain as a little-endian uint16 index into the corpus's `domains`. */
  domains: FileRecord;
}

export interface FileRecord {
  key: string;
  bytes: number;
  sha256: string;
}

/** `run.json`: what a run is; written once by the first state. */
export interface RunRecord {
  format: 'mates-run/1';
  id: string;
  config: RunConfig;
  /** `corpus`, the run's own folder, or the URI of a corpus prepared beforehand. */
  corpus: string;
  versions: Record<string, string>;
}

/** The main model trains on what its method selects; the control on random rows of the same pools. */
export type Arm = 'main' | 'control';

/** A contiguous range of one shard's rows. */
export interface RowRange {
  shard: number;
  /** Global row numbers, `end` exclusive. */
  begin: number;
  end: number;
}

/** `stages/<k>/plan.json`. */
export interface StagePlan {
  format: 'mates-stage-plan/1';
  stage: number;
  /** Whether the main arm selects by a score of each row, and not at random. */
  scored: boolean;
  arms: Arm[];
  /** The stage's candidate pool and the hold-out, as sets of shards. */
  poolShards: number[];
  holdOutShards: number[];
  poolRows: number;
  holdOutRows: number;
  selectedRows: number;
  consumedRows: number;
  steps: number;
  firstStep: number;
  /** Whether a job of its own makes the checkpoint ready for probing, for the probing jobs to share. */
  preparesProbe: boolean;
  /** The stage whose probe and influence model are used: this one, or the first scored one when those are kept. */
  scorerStage: number;
  /** Hold-out rows to probe, and how the probing and scoring maps are cut. */
  probes: number;
  probeItems: number;
  scoreItems: number;
}

/**
 * One item of the probing map, `begin` to `end` of the stage's probe order, or of the scoring map, rows `begin` to `end`
 * of the stage's pool, counted along its shards. It is small whatever the number of shards, because it travels to the
 * job in its environment, which Batch limits to 8,192 characters.
 */
export interface Slice {
  index: number;
  begin: number;
  end: number;
}

/** `metrics.json`: the loss curve of one stage. */
export interface TrainingMetrics {
  format: 'mates-training/1';
  firstStep: number;
  /** One entry a step. */
  loss: number[];
  gradientNorm: number[];
  learningRate: number[];
  tokens: number;
}

/** `evaluation.json`: losses in nats per token, on the decay branch of the stage's checkpoint. */
export interface Evaluation {
  format: 'mates-evaluation/1';
  step: number;
  decaySteps: number;
  referenceLoss: number;
  heldOutLoss: number;
  /** Mean over domains of the domain's loss on hold-out rows that were not probed. */
  mixedDomainLoss: number;
  domainLoss: Record<string, { loss: number; rows: number }>;
  /**
   * Zero-shot tasks in the order of the configuration, and the mean over the multiple-choice ones; absent if none are
   * given.
   */
  tasks?: TaskScore[];
  taskMean?: MeanScore;
  /** How the selection compares with the pool; only for the main arm of a scored stage. */
  selection?: SelectionCheck;
}

/** Statistics of sampled rows. */
export interface RowStatistics {
  rows: number;
  /** Share of the runs of eight tokens that also occur in another row of the sample. */
  repeated: number;
  /** Documents that end in a row, on average. */
  documents: number;
}

/** A sample of the selected rows beside one of the pool's. */
export interface SelectionCheck {
  selected: RowStatistics;
  pool: RowStatistics;
  /** What a user should be told, in sentences. */
  warnings: string[];
}

/** How passages compare with the corpus. */
export interface PassageStatistics {
  /** Passages that are used, and their tokens. Absent in older files. */
  passages?: number;
  tokens?: number;
  /** Tokens whose loss counts. */
  targets: number;
  /** Share of them that hardly ever occur in the corpus. */
  missing: number;
  /** Text of the most frequent of those; only the beginning of a long one. */
  examples: string[];
}

/** An input file by its URI. */
export interface InputHash {
  uri: string;
  bytes: number;
  sha256: string;
}

/** `inputs.json`. */
export interface InputHashes {
  format: 'mates-inputs/1';
  /** SHA-256 of the `corpus.json` of the run's corpus, its own or one that was prepared beforehand. */
  corpus: string;
  files: InputHash[];
}

/** `passages.json`. */
export interface PassagesCheck {
  format: 'mates-passages/1';
  reference: PassageStatistics;
  heldOut: PassageStatistics;
  /** What a user should be told, in sentences. */
  warnings: string[];
}

/** `stages/<k>/influence-model/fit.json`. */
export interface InfluenceFit {
  format: 'mates-influence-fit/1';
  /** `earlier`: rows of earlier stages that were fitted too; `validation`: 0 for `ngram`, which fits these rows too. */
  documents: { fit: number; validation: number; test: number; earlier?: number };
  /** `row` when the documents were too few and too long to keep each of them in one set. */
  splitBy: 'document' | 'row';
  /** Mean and standard deviation of the fitted labels, by which they were standardised. */
  mean: number;
  std: number;
  /** Measured on documents used for neither fitting nor early stopping. */
  spearman: number;
  spearmanInterval: [number, number];
  pearson: number;
  /**
   * This model's Spearman on the test documents that the previous stage's model was not fitted to. Absent in older
   * files.
   */
  freshSpearman?: number;
  /** The same for the previous stage's model: by as much as it is lower, influence has drifted. */
  staleSpearman?: number;
  /** Only of an architecture that is trained in epochs. */
  epochs?: { epoch: number; trainLoss: number; validationSpearman: number }[];
  bestEpoch?: number;
  /** Only of `ngram` and of features: the ridge penalty that ranked best the fifths held out in turn. */
  penalty?: number;
  /** Too few test documents were new to the weights of earlier stages, so `spearman` is of all test documents. */
  testedOnSeen?: true;
  /** Why the model should not be trusted to select by; absent when it may be. */
  weak?: string;
  /** `weak` is about the labels that the model was fitted to, whatever its Spearman with them. Absent in older files. */
  weakLabels?: true;
}

/** When a job was at work; in a {@link Timing}, its last attempt. */
export interface Attempt {
  /** Milliseconds since 1970. */
  begin: number;
  seconds: number;
}

/** `stages/<k>/timings/<job>.json`: kept apart, so that every other file has the same bytes in every run. */
export interface Timing extends Attempt {
  job: string;
  /** The attempts before that one, which were interrupted. */
  earlier?: Attempt[];
  /** Floating-point operations, as core/cost/flops.ts counts them. */
  flops: number;
}

/** A document of the pool, for people to read. */
export interface ExtremeDocument {
  row: number;
  /** Infinite utilities are written as the largest float32, because JSON has no infinity. */
  utility: number;
  domain: string;
  /** The start of the row's text. */
  text: string;
}

/** Documents from the highest utility down and from the lowest up; of equal ones the lower row first. */
export interface Extremes {
  highest: ExtremeDocument[];
  lowest: ExtremeDocument[];
}

/** `selection.json`: the exact cut of one selection. */
export interface SelectionSummary {
  format: 'mates-selection/1';
  /** How the arm's rows were chosen. */
  method: Method;
  poolRows: number;
  selectedRows: number;
  temperature: number;
  gumbel: 'exact' | 'reference-code' | 'none';
  seed: number;
  stage: number;
  /** Rows whose ordered key is above the threshold are in, and of those equal to it the lowest numbered `tiesKept`. */
  threshold: number;
  tiesKept: number;
  /** Rows of each domain in the pool and in the selection. */
  poolDomains: Record<string, number>;
  selectedDomains: Record<string, number>;
  /** Histogram of finite utilities: `edges` has one more entry than the counts. */
  histogram?: { edges: number[]; pool: number[]; selected: number[] };
  /** The documents with the highest and lowest utilities of the pool, from the outermost inwards. */
  extremes?: Extremes;
  file: FileRecord;
}

/** `summary.json`: the numbers of the closing table. */
export interface RunSummary {
  format: 'mates-summary/1';
  runId: string;
  name: string;
  /** `selection.method` of the configuration. */
  method: Method;
  /** The method and what else its score is made of. Absent in older files. */
  label?: string;
  seed: number;
  /**
   * What its losses depend on besides the method: losses of runs that differ here cannot be subtracted. Absent in older
   * files.
   */
  data?: {
    /** SHA-256 of `corpus.json` and of how its shards were dealt; each seed has others. */
    corpus: string;
    /** SHA-256 of the files that the corpus was made of. Absent in older files. */
    texts?: string;
    /** SHA-256 of what defines the passages: their file, how many of them, and which tokens count. */
    heldOut: string;
    reference: string;
    /** SHA-256 of the settings that every method trains and is evaluated with. Absent in older files. */
    settings?: string;
    /** The trainer of the user's own, or `mates`. Absent in older files. */
    trainer?: string;
    /** SHA-256 of the vocabulary's size and the length of rows. Absent in older files. */
    rows?: string;
    /** SHA-256 of a tokenizer whose file was given. */
    tokenizer?: string;
    /** By its name, SHA-256 of each task's file and of how it is read. Absent where there is none, and in older files. */
    tasks?: Record<string, string>;
    /** SHA-256 of what rows are chosen by: probing, the influence model and the selection. Absent in older files. */
    choice?: string;
  };
  /** What a user should know about the run as a whole, in sentences. Absent in older files. */
  warnings?: string[];
  stages: {
    stage: number;
    scored: boolean;
    /** Rows that the steps take of the selected ones. Absent in older files. */
    consumedRows?: number;
    selectedRows: number;
    poolRows: number;
    seconds: number;
    /** Seconds during which a job of the selection was at work. */
    selectionSeconds: number;
    /** Operations of the selection: probing, fitting and scoring. */
    selectionFlops: number;
    spearman?: number;
    spearmanInterval?: [number, number];
    freshSpearman?: number;
    staleSpearman?: number;
    /** How the main arm's rows were chosen; it may differ from the configuration when the influence model was weak. */
    method: Method;
    /** The main arm's most selected domain, with its share of the selected rows and of the pool. */
    mostSelected: { domain: string; share: number; poolShare: number };
    /** What a user should know about the stage, in sentences. */
    warnings: string[];
    main: ArmSummary;
    control?: ArmSummary;
  }[];
}

export interface ArmSummary {
  /** Tokens trained on up to the end of the stage. */
  tokens: number;
  /** Operations of the stage's training. */
  trainingFlops: number;
  /** Seconds of the stage's pretraining; absent when a custom trainer did it and none were recorded. */
  trainingSeconds?: number;
  referenceLoss: number;
  heldOutLoss: number;
  mixedDomainLoss: number;
  trainingLoss: number;
  tasks?: TaskSummary[];
  taskMean?: MeanScore;
}

/** A task's score without the answer to each item. */
export type TaskSummary = Omit<ChoiceScore, 'correct' | 'correctNorm'> | Omit<ContinuationScore, 'correct'> | TextScore;

/** `manifest.json`: enough to check and repeat a run. */
export interface Manifest {
  format: 'mates-manifest/1';
  run: RunRecord;
  inputs: InputHash[];
  /** Every file of the run that has the same bytes whenever the run is repeated. */
  outputs: FileRecord[];
}
