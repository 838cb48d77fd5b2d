/** What the study runs: methods, seeds, reference sets and sizes. A cell is one run; its id names its result file. */
import type { RunConfigInput } from '../../core/config/schema.ts';
import {
  QUESTIONS,
  QUESTIONS_FILE,
  type Questions,
  REFERENCE_SETS,
  type ReferenceSet,
  type Setting,
} from './corpus.ts';

export interface Cell {
  id: string;
  method: string;
  seed: number;
  references: ReferenceSet;
  size: Size;
}

type Overrides = Partial<Pick<RunConfigInput, 'probe' | 'influenceModel' | 'selection'>>;

/** Labels by lookahead: two copies continued for 12 steps each, and 1,000 rows labelled by the difference of their losses. */
const LOOKAHEAD = { method: 'lookahead', documents: 1000, lookahead: { steps: 12 } } as const;
const LOOKAHEAD_4000 = { ...LOOKAHEAD, documents: 4000 } as const;
/** The paper's oracle at what a small machine can pay: some ten times the operations of the 1,000 lookahead labels. */
const EXACT = { method: 'exact', documents: 256 } as const;
const NGRAM: Overrides['influenceModel'] = { architecture: 'ngram', features: [] };
const NGRAM_DSIR: Overrides['influenceModel'] = { ...NGRAM, features: ['dsir'] };
/** The checkpoint's own view of the row beside its text. */
const NGRAM_HIDDEN: Overrides['influenceModel'] = { ...NGRAM, features: ['dsir', 'loss', 'hidden'] };
/** The same, fitted to the labels of the stage before too. */
const EARLIER: Overrides['influenceModel'] = { ...NGRAM_DSIR, earlierStages: 1 };
const HARD = { method: 'hard-top-k' } as const;
/** A BERT from scratch of the size of the smallest trunk; its text is the row's own tokens. */
const BERT = {
  architecture: 'bert',
  features: [],
  layers: 2,
  width: 128,
  heads: 4,
  learningRate: 5e-4,
  epochs: 12,
} satisfies Overrides['influenceModel'];

/** An influence model to whose score that of a quality classifier is added. */
const besideClassifier = (
  selection: Overrides['selection'],
  { probe = LOOKAHEAD, influenceModel = EARLIER }: Overrides = {},
): Overrides => ({ ...{ probe, influenceModel }, selection: { classifierWeight: 1, ...selection } });

/** Methods by name, each as what it changes in the configuration. */
export const STUDY_METHODS = {
  random: { selection: { method: 'random' } },
  'random, a stage more': { selection: { method: 'random' } },
  'random, two stages more': { selection: { method: 'random' } },
  dsir: { selection: { method: 'dsir' } },
  'dsir, mean': { selection: { method: 'dsir', dsirScore: 'mean' } },
  classifier: { selection: { method: 'classifier' } },
  'classifier + dsir score': { selection: { method: 'classifier', dsirWeight: 1 } },
  perplexity: { selection: { method: 'perplexity' } },
  'train-on-reference': { selection: { method: 'train-on-reference' } },

  'exact, n-gram': { probe: EXACT, influenceModel: NGRAM_DSIR },
  'exact, BERT': { probe: EXACT, influenceModel: BERT },
  'exact, low rate': { probe: { ...EXACT, learningRateScale: 0.1 }, influenceModel: NGRAM_DSIR },
  'exact, decayed': { probe: { ...EXACT, checkpoint: 'decayed' }, influenceModel: NGRAM_DSIR },
  'exact, 1280 probes': { probe: { ...EXACT, documents: 1280 }, influenceModel: NGRAM_DSIR },

  'directional, every row': { probe: { method: 'directional' }, selection: { method: 'oracle' } },
  'lookahead, every row': { probe: LOOKAHEAD, selection: { method: 'oracle' } },
  'lookahead, every row, T 0.2': { probe: LOOKAHEAD, selection: { method: 'oracle', temperature: 0.2 } },
  'lookahead, every row + dsir': { probe: LOOKAHEAD, selection: { method: 'oracle', dsirWeight: 1 } },
  /** The highest labels and no noise, as color-filter takes them, but of each stage's own checkpoint. */
  'lookahead, every row, no noise': { probe: LOOKAHEAD, selection: { method: 'oracle', temperature: 1e-3 } },
  'color-filter': { probe: LOOKAHEAD, selection: { method: 'color-filter' } },

  'lookahead, n-gram': { probe: LOOKAHEAD, influenceModel: NGRAM },
  'lookahead, n-gram + dsir': { probe: LOOKAHEAD, influenceModel: NGRAM_DSIR },
  'lookahead, n-gram + dsir, T 0.2': {
    probe: LOOKAHEAD,
    influenceModel: NGRAM_DSIR,
    selection: { temperature: 0.2 },
  },
  'lookahead, n-gram + dsir score': { probe: LOOKAHEAD, influenceModel: NGRAM_DSIR, selection: { dsirWeight: 1 } },
  'lookahead, n-gram + dsir score, T 0.2': {
    probe: LOOKAHEAD,
    influenceModel: NGRAM_DSIR,
    selection: { dsirWeight: 1, temperature: 0.2 },
  },
  'lookahead, n-gram + dsir, 4000 labels, T 0.2': {
    probe: LOOKAHEAD_4000,
    influenceModel: NGRAM_DSIR,
    selection: { temperature: 0.2 },
  },
  'lookahead, n-gram + dsir, 4000 labels, T 0.2, earlier': {
    probe: LOOKAHEAD_4000,
    influenceModel: EARLIER,
    selection: { temperature: 0.2 },
  },
  'lookahead, n-gram + dsir, earlier': { probe: LOOKAHEAD, influenceModel: EARLIER },
  'lookahead + classifier score': besideClassifier(HARD),
  'lookahead + 2 classifier score': besideClassifier({ ...HARD, classifierWeight: 2 }),
  'lookahead + classifier score, T 0.2': besideClassifier({ temperature: 0.2 }),
  'lookahead + classifier score, T 0.5': besideClassifier({}),
  'lookahead + classifier score, 250 labels': besideClassifier(HARD, { probe: { ...LOOKAHEAD, documents: 250 } }),
  'lookahead + classifier score, 4000 labels': besideClassifier(HARD, { probe: LOOKAHEAD_4000 }),
  'lookahead, model features + classifier score': besideClassifier(HARD, { influenceModel: NGRAM_HIDDEN }),
  'lookahead, every row + classifier score': {
    probe: LOOKAHEAD,
    selection: { method: 'oracle', temperature: 0.2, classifierWeight: 1 },
  },
  /** The highest, as of the other methods beside a classifier: what a perfect influence model would do beside one. */
  'lookahead, every row + classifier score, no noise': {
    probe: LOOKAHEAD,
    selection: { method: 'oracle', temperature: 1e-3, classifierWeight: 1 },
  },
  'lookahead + classifier + dsir score': besideClassifier({ ...HARD, dsirWeight: 1 }),
  'static lookahead + classifier score': besideClassifier({ method: 'static-influence', temperature: 0.2 }),
  'lookahead, n-gram + dsir, 250 labels': { probe: { ...LOOKAHEAD, documents: 250 }, influenceModel: NGRAM_DSIR },
  'lookahead, n-gram + dsir, 4000 labels': { probe: LOOKAHEAD_4000, influenceModel: NGRAM_DSIR },
  'lookahead, BERT': { probe: LOOKAHEAD, influenceModel: BERT },
  'lookahead, model features': { probe: LOOKAHEAD, influenceModel: NGRAM_HIDDEN },
  'static, n-gram + dsir, 4000 labels, T 0.2': {
    probe: LOOKAHEAD_4000,
    influenceModel: NGRAM_DSIR,
    selection: { method: 'static-influence', temperature: 0.2 },
  },
  'static, n-gram + dsir': {
    probe: LOOKAHEAD,
    influenceModel: NGRAM_DSIR,
    selection: { method: 'static-influence' },
  },
  'hard top-k, n-gram + dsir': {
    probe: LOOKAHEAD,
    influenceModel: NGRAM_DSIR,
    selection: { method: 'hard-top-k' },
  },
  'hard top-k, 4000 labels, earlier': { probe: LOOKAHEAD_4000, influenceModel: EARLIER, selection: HARD },
} satisfies Record<string, Overrides>;

export type StudyMethod = keyof typeof STUDY_METHODS;

/** Shapes by their number of parameters. */
export const SIZES = {
  '1M': { layers: 2, width: 128, heads: 4, learningRate: 1.5e-3 },
  '4M': { layers: 4, width: 256, heads: 4, learningRate: 1.2e-3 },
  '12M': { layers: 6, width: 384, heads: 6, learningRate: 1e-3 },
} as const;
/**
 * Models that are trained already, and go on: as most users of a trained model would, at a third of the highest rate of the
 * training before, whose rate had fallen at its end.
 */
export const TRAINED = { '1M-trained': { ...SIZES['1M'], goesOnAt: SIZES['1M'].learningRate / 3 } } as const;
export type TrainedSize = keyof typeof TRAINED;
export type Size = keyof typeof SIZES | TrainedSize;
export const isTrained = (size: Size): size is TrainedSize => size in TRAINED;

/** Of each seed first, as the others are compared with them. */
const FIRST: StudyMethod[] = ['random', 'dsir', 'lookahead, n-gram + dsir', 'random, a stage more'];
/**
 * Random runs that go on, and say what the same operations buy without selection, the shorter first: for how many stages, and
 * a share of their smaller pools that is as many rows.
 */
export const LONGER: Readonly<Record<string, { stages: number; fraction: number }>> = {
  'random, a stage more': { stages: 1, fraction: 0.3 },
  'random, two stages more': { stages: 2, fraction: 0.4 },
};
/** What the labels alone can do, without an influence model between them and the selection. */
const LABELS: StudyMethod[] = ['lookahead, every row', 'lookahead, every row, T 0.2'];
/** How strongly the noise and DSIR's own score should weigh. */
const WEIGHTS: StudyMethod[] = [
  'hard top-k, n-gram + dsir',
  'lookahead, n-gram + dsir score',
  'lookahead, n-gram + dsir score, T 0.2',
  'lookahead, n-gram + dsir, 4000 labels, T 0.2',
];
/** The weakest noise that was tried. */
const WEAK_NOISE: StudyMethod = 'lookahead, n-gram + dsir, T 0.2';
const OTHERS = (Object.keys(STUDY_METHODS) as StudyMethod[]).filter(
  (name) =>
    ![...FIRST, ...WEIGHTS, ...LABELS, WEAK_NOISE, ...Object.keys(LONGER)].includes(name) &&
    !name.includes('classifier'),
);
/** Of the others, what the second reference set repeats. */
const REPEATED = OTHERS.filter((name) => !name.startsWith('exact, ') || name === 'exact, n-gram');
const REFERENCES: ReferenceSet[] = ['lambada', 'python-docs'];
/** The two that conclusions rest on. */
const CONCLUSIVE: ReferenceSet[] = ['lambada-plain', 'python-docs'];

/** Seeds that settings were chosen on, as many more that the chosen ones are measured on, and ten more for what those leave open. */
export const SEEDS: Readonly<Record<'chosenOn' | 'measuredOn' | 'settledOn', readonly number[]>> = {
  chosenOn: [1, 2, 3, 4, 5],
  measuredOn: [6, 7, 8, 9, 10],
  settledOn: [11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
};
/** The best at 1M that costs less than labelling all rows, and the same fitted to the labels of the stage before too. */
const BEST: StudyMethod = 'lookahead, n-gram + dsir, 4000 labels, T 0.2';
const BEST_EARLIER: StudyMethod = 'lookahead, n-gram + dsir, 4000 labels, T 0.2, earlier';
/** Beside the quality classifier's score a quarter of the labels do. */
export const BESIDE_CLASSIFIER: StudyMethod = 'lookahead + classifier score';
/** Two filters of the text alone. */
export const FREE: StudyMethod = 'classifier + dsir score';
export const CHOSEN: readonly StudyMethod[] = [BEST, BEST_EARLIER, BESIDE_CLASSIFIER, FREE];
const CLASSIFIER_VARIANTS = (Object.keys(STUDY_METHODS) as StudyMethod[]).filter(
  (name) => /classifier .*score/.test(name) && name !== BESIDE_CLASSIFIER && name !== FREE,
);

/** The cells of the study, in the order in which a partial result says most. */
export function cells(): Cell[] {
  const found = new Map<string, Cell>(); // a cell that is asked for twice keeps its first place
  const add = (size: Size, references: ReferenceSet, seeds: readonly number[], methods: readonly StudyMethod[]) => {
    for (const method of methods)
      for (const seed of seeds) {
        const id = idOf(size, references, method, seed);
        if (!found.has(id)) found.set(id, { id, method, seed, references, size });
      }
  };
  const { chosenOn: seeds, measuredOn: more, settledOn: still } = SEEDS;
  const labels4000: StudyMethod = 'lookahead, n-gram + dsir, 4000 labels';
  const plain: StudyMethod[] = ['random', 'dsir', 'lookahead, n-gram + dsir', labels4000];
  add('1M', 'lambada-plain', [...seeds, ...more], plain);
  add('1M', 'lambada-plain', seeds, ['lookahead, every row', 'random, a stage more']);
  for (const references of CONCLUSIVE) add('1M', references, seeds, ['random, two stages more']);
  // What the labels of the stage before add, and what they select by themselves.
  const before: StudyMethod[] = [BEST_EARLIER, 'static, n-gram + dsir, 4000 labels, T 0.2'];
  for (const method of before)
    for (const seed of seeds) for (const references of CONCLUSIVE) add('1M', references, [seed], [method]);
  // Whether DSIR is better off with the mean.
  for (const seed of seeds) for (const references of CONCLUSIVE) add('1M', references, [seed], ['dsir, mean']);
  // The filter that most corpora are made with.
  for (const seed of seeds) for (const references of CONCLUSIVE) add('1M', references, [seed], ['classifier']);
  for (const seed of seeds) for (const references of CONCLUSIVE) add('4M', references, [seed], ['classifier']);
  // What a model that is trained adds to it, and what DSIR does without one.
  const beside: StudyMethod[] = [BESIDE_CLASSIFIER, FREE, 'classifier'];
  for (const seed of [...seeds, ...more]) for (const references of CONCLUSIVE) add('1M', references, [seed], beside);
  for (const seed of [1, 2, 3]) for (const references of CONCLUSIVE) add('1M', references, [seed], CLASSIFIER_VARIANTS);
  for (const seed of seeds) for (const references of CONCLUSIVE) add('4M', references, [seed], beside);
  // What was chosen at 1M is measured at the larger sizes.
  for (const seed of seeds) add('4M', 'lambada-plain', [seed], ['random', 'dsir', BEST]);
  add('4M', 'python-docs', seeds, [BEST]);
  for (const references of CONCLUSIVE) add('4M', references, seeds, ['random, two stages more']);
  for (const seed of [1, 2, 3])
    add('12M', 'lambada-plain', [seed], [
      ...['random', 'dsir', BESIDE_CLASSIFIER, FREE, 'random, a stage more'],
      ...[BEST_EARLIER, 'classifier', BEST, 'random, two stages more'],
    ] as StudyMethod[]);
  for (const seed of [1, 2, 3])
    add('12M', 'python-docs', [seed], ['random', 'dsir', BESIDE_CLASSIFIER, FREE, 'classifier', BEST_EARLIER, BEST]);
  for (const references of CONCLUSIVE) add('4M', references, seeds, [BEST_EARLIER]);
  for (const references of REFERENCES) add('1M', references, seeds, FIRST);
  add('4M', 'lambada', seeds, FIRST);
  add('12M', 'lambada', [1, 2, 3], FIRST);
  add('4M', 'python-docs', seeds, FIRST);
  // What was chosen on five seeds is measured on five more.
  for (const references of REFERENCES) {
    add('1M', references, seeds, [WEAK_NOISE]);
    add('1M', references, more, ['random', 'dsir', WEAK_NOISE, BEST]);
  }
  for (const references of CONCLUSIVE) add('1M', references, more, CHOSEN);
  add('1M', 'lambada', more, ['lookahead, n-gram + dsir, 4000 labels', 'lookahead, n-gram + dsir score']);
  // Ten seeds left one interval around zero, too narrowly to settle it: ten more were decided on before any of them was run.
  add('1M', 'lambada', still, ['dsir', 'lookahead, n-gram + dsir, 4000 labels']);
  // The same of what the model adds to two filters of the text: ten more, decided on before any of them was run.
  for (const seed of still)
    for (const references of CONCLUSIVE) add('1M', references, [seed], [BESIDE_CLASSIFIER, FREE]);
  // And at 4M, where five seeds left it open on the manual: five more, decided on before any of them was run.
  for (const seed of more)
    for (const references of CONCLUSIVE) add('4M', references, [seed], [BESIDE_CLASSIFIER, FREE]);
  // What an influence model keeps of the highest labels of every row.
  for (const seed of [1, 2, 3])
    for (const references of CONCLUSIVE) add('1M', references, [seed], ['hard top-k, 4000 labels, earlier']);
  // A reference set that does not look like the text that it may learn from.
  const ofQuestions: StudyMethod[] = [
    'random',
    'dsir',
    'classifier',
    FREE,
    BESIDE_CLASSIFIER,
    'random, two stages more',
    'train-on-reference',
    BEST_EARLIER,
    'hard top-k, 4000 labels, earlier',
    'lookahead, every row, no noise',
    'lookahead, every row + classifier score, no noise',
  ];
  for (const seed of seeds) add('1M', 'piqa', [seed], ofQuestions);
  for (const seed of seeds) add('1M', 'piqa-answers', [seed], ['dsir', 'classifier', FREE]);
  const againstFilters: StudyMethod[] = ['random', 'dsir', 'classifier', FREE, BESIDE_CLASSIFIER];
  for (const seed of [1, 2, 3]) add('4M', 'piqa', [seed], againstFilters);
  add('4M', 'piqa', [4, 5], [FREE, BESIDE_CLASSIFIER]);
  add('4M', 'piqa', [1, 2, 3], ['random, two stages more']);
  // Another set of questions, decided on before any cell of it was run.
  for (const seed of seeds) add('1M', 'arc-easy', [seed], [...againstFilters, 'random, two stages more']);
  for (const seed of [1, 2, 3]) add('4M', 'arc-easy', [seed], [BESIDE_CLASSIFIER, FREE]);
  add('4M', 'arc-easy', [1, 2, 3], [...againstFilters, 'random, two stages more']);
  // And what the model adds to the two filters for questions at the largest size.
  for (const references of ['piqa', 'arc-easy'] as const)
    for (const seed of [1, 2, 3]) add('12M', references, [seed], [BESIDE_CLASSIFIER, FREE]);
  // Three seeds left it open for both: two more, decided on before any of them was run.
  for (const references of ['piqa', 'arc-easy'] as const)
    for (const seed of [4, 5]) add('12M', references, [seed], [FREE, BESIDE_CLASSIFIER]);
  // What it gains over random rows there.
  for (const references of ['arc-easy', 'piqa'] as const) add('12M', references, [1, 2, 3], ['random']);
  // And against random rows for as many operations, and each single filter.
  for (const method of ['random, two stages more', 'classifier', 'dsir'] as const)
    for (const references of ['arc-easy', 'piqa'] as const) add('12M', references, [1, 2, 3], [method]);
  // Three seeds left the classifier open for PIQA's: two more of both sets, decided on before any of them was run.
  for (const references of ['piqa', 'arc-easy'] as const)
    for (const seed of [4, 5]) add('12M', references, [seed], ['classifier']);
  add('1M', 'lambada-distinct', seeds, ['random', 'dsir', 'lookahead, n-gram + dsir', WEAK_NOISE, ...WEIGHTS]);
  for (const method of [...WEIGHTS, ...LABELS])
    for (const references of REFERENCES) add('1M', references, seeds, [method]);
  for (const seed of seeds) {
    add('1M', 'lambada-plain', [seed], [...OTHERS, ...WEIGHTS, WEAK_NOISE]);
    add('1M', 'python-docs', [seed], REPEATED);
  }
  add('12M', 'python-docs', [1, 2, 3], FIRST);
  // Whether selection helps a model that is trained already; decided on before any cell of it was run.
  const goingOn = ['lambada-plain', 'piqa', 'arc-easy', 'python-docs'] as const;
  for (const seed of seeds) for (const references of goingOn) add('1M-trained', references, [seed], againstFilters);
  // Their labels are harder to predict on LAMBADA: what more of them, and labels of every row, do.
  const labelled: StudyMethod[] = [
    'lookahead + classifier score, 4000 labels',
    'lookahead, every row + classifier score, no noise',
  ];
  for (const method of labelled) for (const seed of [1, 2, 3]) add('1M-trained', 'lambada-plain', [seed], [method]);
  for (const seed of seeds)
    for (const references of goingOn) add('1M-trained', references, [seed], ['random, two stages more']);
  // What the checkpoint's own view of a row adds there; decided on before any cell of it was run.
  for (const seed of [1, 2, 3])
    for (const references of ['lambada-plain', 'arc-easy', 'piqa'] as const)
      add('1M-trained', references, [seed], ['lookahead, model features + classifier score']);
  return [...found.values()];
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

/** Where a cell's data lies, and what it is computed with. */
export interface Place {
  /** The prepared corpus of its reference set and seed. */
  corpus: string;
  /** The folder of the reference sets. */
  passages: string;
  runtime: 'onnx' | 'onnx-cuda';
  /** The directory of the model that goes on, of a size in `TRAINED`. */
  pretrained?: string | undefined;
}

export function configOf(
  { method, seed, references, size }: Cell,
  { corpus, passages, runtime, pretrained }: Place,
): RunConfigInput {
  const trained = isTrained(size);
  const longer = LONGER[method];
  const { passages: set, reference = 'reference.jsonl' }: Setting = REFERENCE_SETS[references];
  const folder = `${passages}/${set}`;
  const { probe, influenceModel, selection }: Overrides = STUDY_METHODS[method as StudyMethod];
  return {
    name: 'study',
    seed,
    corpus: { prepared: corpus },
    reference: { input: `${folder}/${reference}`, passages: 256 },
    heldOut: { input: `${folder}/held-out.jsonl`, passages: 800 },
    model: trained ? { pretrained } : shapeOf(size),
    pretrain: {
      ...{ stages: STAGES + (longer?.stages ?? 0), stepsPerStage: STEPS, batchRows: BATCH, microBatchRows: BATCH },
      ...{ warmupSteps: 50, decaySteps: 20, checkpointEverySteps: STEPS },
      learningRate: trained ? TRAINED[size].goesOnAt : SIZES[size].learningRate,
    },
    // Of some 100,000 rows, or 65,000 where the model has read the others: 6,000 for the first stage, a pool of some 21,000 for
    // each other, the rest to probe and measure on.
    pools: trained ? { holdOut: 0.2, warmup: 0.09 } : { holdOut: 0.5, warmup: 0.06 },
    probe: { jobs: 1, flushEvery: 500, ...probe },
    influenceModel: {
      validationFraction: 0.1,
      testFraction: 0.15,
      minimumSpearman: 0,
      earlierStages: 0,
      ...influenceModel,
    },
    scoring: { jobs: 1 },
    selection: { fraction: longer?.fraction ?? 0.2, temperature: 0.5, ...selection },
    control: 'none',
    evaluation: { rowsPerDomain: 40, tasks: tasksOf(set, folder) },
    engine: { runtime, threads: 1 },
  };
}

/** Where passages are answers to questions, these are asked, too: a right answer that is likelier need not be chosen more often. */
const tasksOf = (set: string, folder: string) =>
  set in QUESTIONS ? [{ file: `${folder}/${QUESTIONS_FILE}`, name: QUESTIONS[set as Questions] }] : [];

function shapeOf(size: Size): RunConfigInput['model'] {
  const { layers, width, heads } = isTrained(size) ? TRAINED[size] : SIZES[size];
  return { layers, width, heads };
}

/**
 * The run that makes a model which then goes on: seven and a half times as many steps as a stage has, on random rows of the texts
 * that are kept for it, and the fall of the rate at its end.
 */
export function trainedConfigOf(size: TrainedSize, seed: number, place: Place): RunConfigInput {
  const { corpus, passages, runtime } = place;
  const set = `${passages}/lambada-plain`; // measured on something; it decides nothing
  return {
    name: 'study',
    seed,
    corpus: { prepared: corpus },
    reference: { input: `${set}/reference.jsonl`, passages: 32 },
    heldOut: { input: `${set}/held-out.jsonl`, passages: 32 },
    model: shapeOf(size),
    pretrain: {
      ...{ stages: 1, stepsPerStage: 900, batchRows: BATCH, microBatchRows: BATCH, checkpointEverySteps: 900 },
      ...{ learningRate: TRAINED[size].learningRate, warmupSteps: 50, decaySteps: 100 },
    },
    pools: { holdOut: 0.02, warmup: 0.98 },
    selection: { method: 'random' },
    control: 'none',
    evaluation: { rowsPerDomain: 4 },
    engine: { runtime, threads: 1 },
  };
}
