/**
 * The one configuration of a run. Defaults are small-machine values; the paper's values are in
 * `examples/paper-410m.json`. Unknown fields are refused, so a typo never silently means the default.
 */
import { z } from 'zod';
import { taskName } from '../evaluation/conventions.ts';
import { DSIR_SCORES, FEATURES, LEAST_TEMPERATURE, METHODS, methodTraits } from '../selection/methods.ts';
import { corpus, textsOf } from './corpus-schema.ts';
import { splitSizes } from './label-split.ts';
import { PASSAGES, shardsFor } from './ranges.ts';
import { PRECISION_RUNTIMES, type Precision, precisionRefusal, RUNTIMES } from './runtimes.ts';

const positive = z.int().positive();
const fraction = z.number().gt(0).lt(1);
const path = z.string().min(1);

const passages = z.strictObject({
  /** JSONL: `{"text"}` or `{"context", "continuation"}`. */
  input: path,
  /** How many are used, from the start of the file. */
  passages: positive.default(PASSAGES),
  /** Which tokens count: all of them, or those of the last word (LAMBADA). */
  target: z.enum(['passage', 'last-word']).default('passage'),
});

const gptNeox = z.strictObject({
  architecture: z.literal('gpt-neox').default('gpt-neox'),
  layers: positive.default(2),
  /** Of the hidden states; `heads` must divide it, unless they have a width of their own. */
  width: positive.default(128),
  heads: positive.default(4),
  /** By default four times the width. */
  mlpWidth: positive.optional(),
  /** GELU, exactly or by its approximation with tanh. */
  activation: z.enum(['gelu', 'gelu-tanh']).default('gelu'),
  /** Whether the two projections of attention have biases. */
  attentionBias: z.boolean().default(true),
  /** Whether the embedding is the output head too. */
  tiedEmbeddings: z.boolean().default(false),
  /** Share of each head that is rotated. */
  rotaryFraction: z.number().gt(0).max(1).default(0.25),
  /** Of the wavelengths by which positions are rotated. */
  rotaryBase: z.number().positive().default(10_000),
  layerNormEpsilon: z.number().positive().default(1e-5),
  /** Of the normal distribution that weights are drawn from. */
  initializerStd: z.number().positive().default(0.02),
  /**
   * Whether attention and MLP read the same input (Pythia), or the MLP reads what attention has made
   * (RedPajama-INCITE).
   */
  parallelResidual: z.boolean().default(true),
  /** Rows of the embedding; by default the tokenizer's entries, padded to a multiple (Pythia: 50,304 = 393 x 128). */
  vocabularySize: positive.optional(),
  vocabularyMultiple: positive.default(128),
  /**
   * The Hugging Face directory of a model to go on from, which then describes what the fields here leave out; without it,
   * weights are drawn.
   */
  pretrained: path.optional(),
});

const llama = gptNeox.omit({ activation: true, rotaryFraction: true, parallelResidual: true }).extend({
  architecture: z.literal('llama'),
  /** Heads of keys and values, each shared by equally many of `heads`; by default as many as those. */
  keyValueHeads: positive.optional(),
  /** Dimensions of a head; by default `heads` of them make up the width. */
  headWidth: positive.optional(),
  /** Whether the four projections of attention have biases; `qkv`: all but the last, as in Qwen2. */
  attentionBias: z.union([z.boolean(), z.literal('qkv')], { error: 'expected true, false or "qkv"' }).default(false),
  /** Whether queries and keys have an RMSNorm of their own, as in Qwen3. */
  queryKeyNorm: z.boolean().optional(),
  /** As in Llama 3.1: of the waves by which positions are rotated, the long ones are stretched by `factor`. */
  rotaryScaling: z
    .strictObject({
      factor: z.number().positive(),
      /** Waves that fit into `originalLength` tokens fewer times than this are long, those that fit more often than the other short. */
      lowFrequencyFactor: z.number().positive(),
      highFrequencyFactor: z.number().positive(),
      originalLength: positive,
    })
    .optional(),
});

const model = z.discriminatedUnion('architecture', [gptNeox, llama], {
  error: ({ code }) => (code === 'invalid_union' ? 'expected "gpt-neox" or "llama"' : undefined),
});

const pretrain = z.strictObject({
  /** The first trains on random rows, and each other on rows that the checkpoint before it has selected. */
  stages: positive.max(100).default(3),
  /** Optimizer steps of a stage. */
  stepsPerStage: positive.default(100),
  /** Rows in an optimizer step, and how many of them are in memory at once (gradient accumulation). */
  batchRows: positive.default(8),
  microBatchRows: positive.default(8),
  /** AdamW's, at its highest; weights decay by `learningRate` x `weightDecay` in a step. */
  learningRate: z.number().positive().default(1e-3),
  beta1: fraction.default(0.9),
  beta2: fraction.default(0.95),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: z.number().min(0).default(0.1),
  /** Gradients of a greater norm are scaled down to it. */
  clipNorm: z.number().positive().default(1),
  /** WSD: linear warm-up, constant; the decay branch halves the rate `decayHalvings` times over `decaySteps`. */
  warmupSteps: z.int().min(0).default(20),
  decaySteps: z.int().min(0).default(20),
  decayHalvings: z.number().min(0).default(4),
  /**
   * A resumable checkpoint is written this often, in a stage, in its decay branch and in the fit of a BERT; the stage's last
   * step always writes one.
   */
  checkpointEverySteps: positive.default(50),
  /** One is also written after this long, whichever comes first: a step of a large model may take minutes. */
  checkpointEveryMinutes: z.number().positive().default(30),
});

const pools = z.strictObject({
  /** Share of the shards that is never trained on: what is probed, and what the mixed-domain loss is measured on. */
  holdOut: fraction.default(0.15),
  /** Share of the shards for the random first stage; the rest is divided equally among the later stages. */
  warmup: fraction.default(0.15),
});

/** Defaults here and of the influence model are what the study found best for its cost, not the paper's (docs/results.md). */
const probe = z.strictObject({
  /**
   * `exact`: one AdamW step on the document, then the reference loss (the paper's oracle). `lookahead`, `directional`:
   * two forward passes a document, some fifty times cheaper; see containers/probe.
   */
  method: z.enum(['exact', 'lookahead', 'directional']).default('lookahead'),
  /** `decayed` probes the end of the decay branch that evaluations are made on, where the learning rate is low. */
  checkpoint: z.enum(['trunk', 'decayed']).default('trunk'),
  /** Multiplies the learning rate of `exact`'s one step and of `lookahead`'s. */
  learningRateScale: z.number().positive().default(1),
  /** Steps for which `lookahead` continues the checkpoint; it stops earlier when held-back references get no better. */
  lookahead: z.strictObject({ steps: positive.default(12), batchRows: positive.default(32) }).prefault({}),
  /** Step size of `directional`'s central difference, relative to the norm of the weights. */
  directional: z.strictObject({ relativeStep: z.number().positive().default(3e-3) }).prefault({}),
  /** Hold-out rows whose influence is measured before each model-aware stage. */
  documents: positive.default(400),
  /** Probing jobs that share them. */
  jobs: positive.default(2),
  /** Results are flushed after this many probes, so a lost job loses at most that many. */
  flushEvery: positive.default(50),
});

const influenceModel = z.strictObject({
  /** `bert` reads the row's text; `ngram` is a ridge regression on hashed unigrams and bigrams of its tokens. */
  architecture: z.enum(['bert', 'ngram']).default('ngram'),
  /**
   * Features that `ngram` fits together with its n-grams; of a `bert` they are fitted first, linearly, and the encoder
   * then fits the residual. They are DSIR's log-weight, and the current checkpoint's loss on the row and mean hidden
   * state. The last two cost a forward pass per row.
   */
  features: z
    .array(z.enum(FEATURES))
    .refine((names) => new Set(names).size === names.length, 'names a feature twice: leave one out')
    .default(['dsir']),
  /** Buckets of `ngram`, and of the quality classifier beside any architecture. */
  buckets: positive
    .min(256)
    .max(1 << 20)
    .default(65_536),
  /** The Hugging Face directory of a BERT to start from; without it the encoder starts from scratch. */
  pretrained: path.optional(),
  /** Shape of an encoder from scratch; it reads the corpus tokenizer's ids. Not used with `pretrained`, nor by `ngram`. */
  layers: positive.default(2),
  width: positive.default(64),
  heads: positive.default(4),
  /** A document is read as up to `chunks` independent pieces of `chunkTokens` (BERT-base: 2 x 512). */
  chunks: positive.default(1),
  chunkTokens: positive.default(128),
  dropout: z.number().min(0).lt(1).default(0.1),
  /** Of a `bert`, as are the four below: it falls linearly to zero over the epochs. */
  learningRate: z.number().positive().default(1e-3),
  weightDecay: z.number().min(0).default(0.01),
  batchDocuments: positive.default(16),
  epochs: positive.default(10),
  /** Shares of the probed rows for early stopping, which `ngram` fits too, and for the reported Spearman; the rest is fitted. */
  validationFraction: fraction.default(0.1),
  testFraction: fraction.default(0.2),
  /**
   * How many earlier stages' probes are fitted too, each stage's in its own standard deviations, at no further cost.
   */
  earlierStages: z.int().min(0).default(1),
  /** Start from the previous stage's influence model. */
  warmStart: z.boolean().default(false),
  /** Below this held-out Spearman, or where its interval includes zero, the model counts as weak. */
  minimumSpearman: z.number().min(-1).max(1).default(0.3),
  /**
   * What a stage does with a weak influence model, or where lookahead's steps made the model worse: go on and say so,
   * select by DSIR or at random instead, or stop.
   */
  whenWeak: z.enum(['warn', 'dsir', 'random', 'stop']).default('warn'),
});

const scoring = z.strictObject({
  /** Scoring jobs that share the pool. */
  jobs: positive.max(10_000).default(2),
  /** Documents of full length in a batch on a GPU, and more of shorter ones; a CPU takes some 512 tokens at a time. */
  batchDocuments: positive.default(64),
  /**
   * Precision of the influence model's linear layers: `int8` multiplies in 8 bits if that ranks a sample of the stage's
   * rows as float32 does (Spearman 0.995), else in float32; `auto` does the same where it pays. Only with
   * `engine.runtime` onnx.
   */
  precision: z.enum(['auto', 'float32', 'int8']).default('auto'),
});

const selection = z.strictObject({
  method: z.enum(METHODS).default('influence'),
  /**
   * DSIR's weight of a row, as a method and as a feature: the `sum` over its n-grams, as the paper has it, or their `mean`,
   * which does not favour rows of few words.
   */
  dsirScore: z.enum(DSIR_SCORES).default('sum'),
  /** Weight of DSIR's z-score beside that of the method's own score. */
  dsirWeight: z.number().min(0).default(0),
  /** The same for the quality classifier's z-score, which `classifier` selects by alone. */
  classifierWeight: z.number().min(0).default(0),
  /** Share of each batch's rows that `train-on-reference` fills with reference passages. */
  referenceShare: fraction.default(0.2),
  /** Share of the pool that is selected. */
  fraction: z.number().gt(0).max(1).default(0.2),
  /** Of the noise, in standard deviations of the utility. At its least it is greedy: below, the quotient of a float32 would overflow, and rows be taken by their number. */
  temperature: z.number().min(LEAST_TEMPERATURE).default(0.5),
  /** `reference-code` keeps the k smallest of prediction/T + Gumbel, as the published code does. */
  gumbel: z.enum(['exact', 'reference-code']).default('exact'),
});

const evaluation = z.strictObject({
  /** Hold-out rows of each domain that the mixed-domain loss is measured on. */
  rowsPerDomain: positive.default(24),
  /** Zero-shot tasks, evaluated on the decay branch of every stage; docs/evaluation.md has the layouts. */
  tasks: z
    .array(
      z.strictObject({
        file: path,
        /** The task's name, which decides whose conventions apply; by default the file's name without `.jsonl`. */
        name: z.string().min(1).optional(),
        /** What stands between context and continuation; by default as the conventions have it. */
        delimiter: z.string().optional(),
        /** Lines that are used, from the start of the file. */
        limit: positive.optional(),
      }),
    )
    .default([]),
});

const engine = z.strictObject({
  /**
   * What computes: ONNX Runtime on the CPU or on an NVIDIA GPU, TensorFlow on a GPU, or tfjs's plain JavaScript, the
   * reference of the tests. A GPU that is asked for and not found is an error.
   */
  runtime: z.enum(RUNTIMES).default('onnx'),
  /**
   * Matrix products of gradients: in float32; with factors rounded to TF32 (GPUs only); or mixed, in bfloat16 with sums,
   * weights and all else in float32 (onnx-cuda on GPUs of compute capability 8.0 or later; onnx emulates it). Losses that
   * are only read, as in evaluations and by probes, are float32 in `mixed` too.
   */
  precision: z.enum(Object.keys(PRECISION_RUNTIMES) as [Precision, ...Precision[]]).default('float32'),
  /** Threads of one job; 0 means one for each core. */
  threads: z.int().min(0).default(0),
  /**
   * Workers that share each training step, each with its part of the micro-batches and, on GPUs, a GPU of its own. On CPUs
   * the result does not depend on their number. 0 means one for each GPU that onnx-cuda finds, otherwise one.
   */
  workers: z.int().min(0).max(64).default(0),
});

export const runConfig = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,39}$/, 'letters, digits and hyphens, at most 40, and no hyphen first')
      .default('run'),
    /** Of everything that is drawn: the same configuration and seed give the same bytes. */
    seed: z.int().min(0).default(1),
    corpus,
    reference: passages,
    heldOut: passages,
    model: model.prefault({}),
    pretrain: pretrain.prefault({}),
    pools: pools.prefault({}),
    probe: probe.prefault({}),
    influenceModel: influenceModel.prefault({}),
    scoring: scoring.prefault({}),
    selection: selection.prefault({}),
    /** A second model on random rows of the same pools and budget, to compare with. */
    control: z.enum(['random', 'none']).default('random'),
    evaluation: evaluation.prefault({}),
    engine: engine.prefault({}),
  })
  .check((context) => {
    const { corpus, reference, model, pretrain, pools, probe } = context.value;
    const { influenceModel, selection, evaluation, engine } = context.value;
    const refuse = (path: string[], message: string) =>
      context.issues.push({ code: 'custom', path, message, input: context.value });
    const text = textsOf(corpus);
    if (text?.input.length === 0)
      refuse(['corpus', 'input'], 'name at least one file or glob, or a prepared corpus in corpus.prepared');
    const { least, better } = shardsFor(pretrain.stages);
    if (text && text.shards < least)
      refuse(
        ['corpus', 'shards'],
        `is ${text.shards}, too few for the pools of ${pretrain.stages} stages and a hold-out: set it to at least ${least}, better ${better}`,
      );
    const own = model.architecture === 'llama' ? model.headWidth : undefined;
    if (own === undefined && model.width % model.heads !== 0)
      refuse(['model', 'heads'], `must divide model.width (${model.width})`);
    else if (rotatedDimensions(model) % 2 !== 0 || rotatedDimensions(model) === 0)
      refuse(
        ['model', own !== undefined ? 'headWidth' : model.architecture === 'llama' ? 'heads' : 'rotaryFraction'],
        `of a head of ${own ?? model.width / model.heads} dimensions ${rotatedDimensions(model)} are rotated, which must be an even number, at least 2`,
      );
    const trained = text && 'train' in text.tokenizer ? text.tokenizer.train : 0;
    if (model.pretrained && trained > 0)
      refuse(
        ['corpus', 'tokenizer'],
        'must be {"file": the tokenizer.json of model.pretrained}, whose ids its weights know',
      );
    if (model.vocabularySize !== undefined && model.vocabularySize < trained)
      refuse(
        ['model', 'vocabularySize'],
        `is ${model.vocabularySize}, fewer than the ${trained} entries of corpus.tokenizer.train: raise it, leave it out, or lower the other`,
      );
    if (model.architecture === 'llama') {
      if (model.heads % (model.keyValueHeads ?? 1) !== 0)
        refuse(['model', 'keyValueHeads'], `must divide model.heads (${model.heads})`);
      if (model.queryKeyNorm && model.attentionBias === 'qkv')
        refuse(['model', 'attentionBias'], 'must be true or false with queryKeyNorm: no known model has both');
      const { lowFrequencyFactor = 0, highFrequencyFactor = 1 } = model.rotaryScaling ?? {};
      if (highFrequencyFactor <= lowFrequencyFactor)
        refuse(
          ['model', 'rotaryScaling', 'highFrequencyFactor'],
          `must exceed lowFrequencyFactor (${lowFrequencyFactor})`,
        );
    }
    if (pretrain.batchRows % pretrain.microBatchRows !== 0)
      refuse(
        ['pretrain', 'microBatchRows'],
        `is ${pretrain.microBatchRows} and must divide pretrain.batchRows (${pretrain.batchRows})`,
      );
    for (const field of ['pretrained', 'warmStart'] as const)
      if (influenceModel[field] && influenceModel.architecture !== 'bert')
        refuse(['influenceModel', field], 'needs influenceModel.architecture "bert"');
    if (influenceModel.width % influenceModel.heads !== 0)
      refuse(['influenceModel', 'heads'], `must divide influenceModel.width (${influenceModel.width})`);
    if (influenceModel.validationFraction + influenceModel.testFraction >= 0.9)
      refuse(['influenceModel', 'testFraction'], 'validation and test leave less than a tenth for fitting');
    const { score } = methodTraits(selection.method);
    if (score === 'influence-model' && !splitSizes(probe.documents, influenceModel))
      refuse(['probe', 'documents'], 'too few to fit an influence model to, stop early and test it: raise it');
    for (const [own, weight] of [
      ['dsir', 'dsirWeight'],
      ['classifier', 'classifierWeight'],
    ] as const) {
      if (selection[weight] === 0) continue;
      if (!score)
        refuse(
          ['selection', weight],
          `${selection.method} has no score to add another to: set it to 0, or choose another method`,
        );
      else if (selection.method === own)
        refuse(['selection', weight], `${own} selects by this score already: set it to 0`);
    }
    // Some are kept aside, and others are learned.
    if (probe.method === 'lookahead' && (score === 'influence-model' || score === 'probe') && reference.passages < 2)
      refuse(
        ['reference', 'passages'],
        'too few for probe.method "lookahead", which keeps some aside: raise it to at least 2, or choose another probe.method',
      );
    if (selection.method === 'color-filter' && probe.method !== 'lookahead')
      refuse(['probe', 'method'], 'must be "lookahead" with selection.method "color-filter"');
    const names = evaluation.tasks.map(({ file, name = taskName(file) }) => name);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice !== undefined)
      refuse(['evaluation', 'tasks'], `two tasks are called ${twice}: give one of them another name`);
    const { runtime, precision, workers } = engine;
    const refusal = precisionRefusal(precision, runtime);
    if (refusal !== undefined) refuse(['engine', 'precision'], refusal);
    if (workers > 1 && runtime === 'tfjs-gpu')
      refuse(['engine', 'workers'], 'must be 1 with engine.runtime tfjs-gpu, which drives one GPU');
    if (pretrain.stages > 1 && pools.holdOut + pools.warmup >= 1)
      refuse(['pools', 'warmup'], 'hold-out and warm-up leave no later pool: lower one of them');
  });

/** As GPT-NeoX counts them: the share of a head, rounded down. Llama rotates whole heads. */
const rotatedDimensions = (of: z.output<typeof model>) =>
  of.architecture === 'llama'
    ? (of.headWidth ?? of.width / of.heads)
    : Math.floor((of.width / of.heads) * of.rotaryFraction);

/** The model's fields, of one architecture. */
export type ModelFields<Architecture> = Extract<z.output<typeof model>, { architecture: Architecture }>;

/** A configuration with every default filled in. */
export type RunConfig = z.output<typeof runConfig>;
/** A configuration as a user writes it. */
export type RunConfigInput = z.input<typeof runConfig>;
