/** What the study runs: methods, seeds, reference sets and sizes. A cell is one run; its id names its result file. */
import type { RunConfigInput } from '../../core/config/schema.ts';
import type { ReferenceSet } from './corpus.ts';

export interface Cell {
  id: string;
  method: string;
  seed: number;
  references: ReferenceSet;
  size: Size;
}

type Overrides = Partial<Pick<RunConfigInput, 'probe' | 'influenceModel' | 'selection'>>;

/** Labels by lookahead, 3,000 of them, as the pilot has them. */
const LOOKAHEAD = { method: 'lookahead', documents: 3000 } as const;
/** The paper's oracle at what a small machine can pay: as many operations as the 3,000 lookahead labels. */
const EXACT = { method: 'exact', documents: 320 } as const;
const NGRAM = { architecture: 'ngram' } as const;
/** A BERT from scratch of the size of the model's trunk; its text is the row's own tokens. */
const BERT = { architecture: 'bert', layers: 2, width: 128, heads: 4, learningRate: 5e-4, epochs: 12 } as const;

/** Methods by name, each as what it changes in the configuration. */
export const STUDY_METHODS = {
  random: { selection: { method: 'random' } },
  dsir: { selection: { method: 'dsir' } },
  perplexity: { selection: { method: 'perplexity' } },
  'train-on-reference': { selection: { method: 'train-on-reference' } },

  'exact, n-gram': { probe: EXACT, influenceModel: NGRAM },
  'exact, BERT': { probe: EXACT, influenceModel: BERT },
  'exact, low rate': { probe: { ...EXACT, learningRateScale: 0.1 }, influenceModel: NGRAM },
  'exact, decayed': { probe: { ...EXACT, checkpoint: 'decayed' }, influenceModel: NGRAM },
  'exact, 1280 probes': { probe: { ...EXACT, documents: 1280 }, influenceModel: NGRAM },

  'directional, every row': { probe: { method: 'directional' }, selection: { method: 'oracle' } },
  'lookahead, every row': { probe: LOOKAHEAD, selection: { method: 'oracle' } },
  'lookahead, every row + dsir': { probe: LOOKAHEAD, selection: { method: 'oracle', dsirWeight: 1 } },
  'color-filter': { probe: LOOKAHEAD, selection: { method: 'color-filter' } },

  'lookahead, n-gram': { probe: LOOKAHEAD, influenceModel: NGRAM },
  'lookahead, n-gram, 750 labels': { probe: { ...LOOKAHEAD, documents: 750 }, influenceModel: NGRAM },
  'lookahead, BERT': { probe: LOOKAHEAD, influenceModel: BERT },
  'lookahead, dsir feature': { probe: LOOKAHEAD, influenceModel: { ...NGRAM, features: ['dsir'] } },
  'lookahead, model features': { probe: LOOKAHEAD, influenceModel: { ...NGRAM, features: ['dsir', 'loss', 'hidden'] } },
  'static, model features': {
    probe: LOOKAHEAD,
    influenceModel: { ...NGRAM, features: ['dsir', 'loss', 'hidden'] },
    selection: { method: 'static-influence' },
  },
  'hard top-k, model features': {
    probe: LOOKAHEAD,
    influenceModel: { ...NGRAM, features: ['dsir', 'loss', 'hidden'] },
    selection: { method: 'hard-top-k' },
  },
} satisfies Record<string, Overrides>;

export type StudyMethod = keyof typeof STUDY_METHODS;

/** Shapes by their number of parameters. */
export const SIZES = {
  '1M': { layers: 2, width: 128, heads: 4, learningRate: 1.5e-3 },
  '4M': { layers: 4, width: 256, heads: 4, learningRate: 1.2e-3 },
  '12M': { layers: 6, width: 384, heads: 6, learningRate: 1e-3 },
} as const;
export type Size = keyof typeof SIZES;

const EVERY = Object.keys(STUDY_METHODS) as StudyMethod[];
/** Methods that the second reference set repeats. */
const SECOND = EVERY.filter((name) => !name.startsWith('exact, ') || name === 'exact, n-gram');
/** What is repeated at growing size. */
const GROWING: StudyMethod[] = ['random', 'dsir', 'lookahead, dsir feature'];

/** The cells of the study, in the order in which a partial result says most: seed by seed. */
export function cells(): Cell[] {
  const found: Cell[] = [];
  const add = (size: Size, references: ReferenceSet, seed: number, methods: readonly StudyMethod[]) => {
    for (const method of methods)
      found.push({ id: idOf(size, references, method, seed), method, seed, references, size });
  };
  for (let seed = 1; seed <= 5; seed++) {
    add('1M', 'lambada', seed, EVERY);
    add('1M', 'python-docs', seed, SECOND);
  }
  for (let seed = 1; seed <= 5; seed++) add('4M', 'lambada', seed, [...GROWING, 'lookahead, model features']);
  for (let seed = 1; seed <= 3; seed++) add('12M', 'lambada', seed, GROWING);
  return found;
}

const idOf = (size: Size, references: ReferenceSet, method: string, seed: number) =>
  `${size}-${references}-${method.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}-${seed}`;

/** Steps and rows of a stage: 3,840 rows, a little less than a fifth of the pool. */
const STEPS = 120;
const BATCH = 32;
export const SEQUENCE_LENGTH = 128;
export const VOCABULARY = 2048;
/** One stage on random rows, two on selected ones. */
const STAGES = 3;

/** The configuration of a cell; `corpus` is the prepared corpus of its reference set and seed. */
export function configOf({ method, seed, references, size }: Cell, corpus: string, passages: string): RunConfigInput {
  const { layers, width, heads, learningRate } = SIZES[size];
  const { probe, influenceModel, selection }: Overrides = STUDY_METHODS[method as StudyMethod];
  return {
    name: 'study',
    seed,
    corpus: { prepared: corpus },
    reference: { input: `${passages}/${references}/reference.jsonl`, passages: 256 },
    heldOut: { input: `${passages}/${references}/held-out.jsonl`, passages: 800 },
    model: { layers, width, heads },
    pretrain: {
      ...{ stages: STAGES, stepsPerStage: STEPS, batchRows: BATCH, microBatchRows: 8, learningRate },
      ...{ warmupSteps: 50, decaySteps: 20, checkpointEverySteps: STEPS },
    },
    // Of some 100,000 rows: 6,000 for the first stage, a pool of 20,000 for each other, the rest to probe and measure on.
    pools: { holdOut: 0.54, warmup: 0.06 },
    probe: { jobs: 1, flushEvery: 500, ...probe },
    influenceModel: { validationFraction: 0.1, testFraction: 0.15, minimumSpearman: 0, ...influenceModel },
    scoring: { jobs: 1 },
    selection: { fraction: 0.2, temperature: 0.5, ...selection },
    control: 'none',
    evaluation: { rowsPerDomain: 40 },
    engine: { threads: 1 },
  };
}
