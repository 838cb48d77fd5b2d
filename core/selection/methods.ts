/** Ways to choose a stage's rows: what a row's utility is, how often it is measured anew, and whether noise is added. */

/** What a row's utility is made of; the lower the influence or the loss, the higher the utility. */
export type ScoreKind = 'influence-model' | 'probe' | 'dsir' | 'classifier' | 'loss';

export interface MethodTraits {
  /** Absent where rows are taken at random. */
  score?: ScoreKind;
  /** Measured on the checkpoint of the first stage and kept, instead of anew before each stage. */
  once?: true;
  /** The k highest utilities instead of Gumbel-top-k. */
  hard?: true;
}

const TRAITS = {
  /** MATES: an influence model fitted to probes of the current checkpoint. */
  influence: { score: 'influence-model' },
  /** The same without the noise. */
  'hard-top-k': { score: 'influence-model', hard: true },
  /** The first scored stage's influence model, used at all later stages too: what refitting is compared with. */
  'static-influence': { score: 'influence-model', once: true },
  /** Every row of the pool is probed: the ceiling of any influence model, for small pools. */
  oracle: { score: 'probe' },
  /** CoLoR-Filter (arXiv 2406.10670): the rows of the highest lookahead difference, from the first checkpoint. */
  'color-filter': { score: 'probe', once: true, hard: true },
  /** Importance resampling by hashed n-grams (arXiv 2302.03169). */
  dsir: { score: 'dsir' },
  /** A quality filter: the rows that a linear classifier takes most for reference passages (arXiv 2005.14165, 2406.11794). */
  classifier: { score: 'classifier', once: true, hard: true },
  /** The rows that the current checkpoint predicts best. */
  perplexity: { score: 'loss', hard: true },
  random: {},
  /**
   * Random rows, with a share of each batch replaced by the reference passages: selection is no substitute for that.
   */
  'train-on-reference': {},
} satisfies Record<string, MethodTraits>;

export type Method = keyof typeof TRAITS;

export const METHODS = Object.keys(TRAITS) as [Method, ...Method[]];

/** Whether a score depends on the text alone, so that no language model has to read the row. */
export const ofTextAlone = (score?: ScoreKind): boolean => score === 'dsir' || score === 'classifier';

/** Features of the influence model besides n-grams. */
export const FEATURES = ['dsir', 'loss', 'hidden'] as const;
export type Feature = (typeof FEATURES)[number];

/** Whether one of the features needs a forward pass of the checkpoint over the row. */
export const readsModel = (features: readonly Feature[]): boolean => features.some((feature) => feature !== 'dsir');

/** Lower temperatures are the same as none, for which there is `hard-top-k`. */
export const LEAST_TEMPERATURE = 1e-6;

/** How the log ratios of a row's n-grams become the row's DSIR weight. */
export const DSIR_SCORES = ['sum', 'mean'] as const;
export type DsirScore = (typeof DSIR_SCORES)[number];

export function methodTraits(method: Method): MethodTraits {
  return TRAITS[method];
}
