/** A task's metrics from its log-likelihoods: names, ties and errors are those of lm-evaluation-harness. */
import { RunError } from '../errors.ts';
import { mean, standardError } from '../metrics/index.ts';
import type { EncodedTask } from './encode.ts';
import { textSize } from './prompt.ts';

/** What a model says about one request. */
export interface RequestResult {
  /** Sum of the target tokens' log-probabilities, in nats. */
  logLikelihood: number;
  /** Whether each target is a token that the model finds likeliest in its place. */
  greedy: boolean;
}

/** A share of right answers, and the standard error of the mean over items. */
interface Accuracy {
  acc: number;
  accStderr: number;
}

/** The score of a task in the layout `choices` or `contexts`. */
export interface ChoiceScore extends Accuracy {
  task: string;
  layout: 'choices' | 'contexts';
  items: number;
  /**
   * Accuracy by the log-likelihood per character of the choice (code points, as Python counts); absent where the
   * harness has none.
   */
  accNorm?: number;
  accNormStderr?: number;
  /** The same per UTF-8 byte. */
  accBytes?: number;
  accBytesStderr?: number;
  /** For each item 1 where the answer was right, 0 where it was not: what a paired comparison needs. */
  correct: string;
  correctNorm?: string;
}

/** The score of a task in the layout `continuation`. */
export interface ContinuationScore extends Accuracy {
  task: string;
  layout: 'continuation';
  items: number;
  /** exp of minus the mean over items of the whole continuation's log-likelihood, not averaged over its tokens. */
  perplexity: number;
  perplexityStderr: number;
  /** Nats per target token, over all of them. */
  loss: number;
  correct: string;
}

/**
 * The score of a task in the layout `text`, per unit of text, so that models with different tokenizers can be compared.
 */
export interface TextScore {
  task: string;
  layout: 'text';
  items: number;
  wordPerplexity: number;
  bytePerplexity: number;
  bitsPerByte: number;
}

export type TaskScore = ChoiceScore | ContinuationScore | TextScore;

/** The mean loss of a file's texts or passages, in nats per token. */
export interface PassageLosses {
  passages: number;
  /** The mean over all target tokens. */
  loss: number;
  /** The mean over passages of each one's own mean, like a run's reference loss. */
  passageLoss: number;
}

/** Whether the task's answers are chosen among several: {@link meanScore} averages such tasks. */
export const isChoice = (score: TaskScore): score is ChoiceScore =>
  score.layout === 'choices' || score.layout === 'contexts';

/**
 * @param results of `task.requests`, in their order.
 * @throws RunError when a log-likelihood is not a number, as then the model's weights are not either.
 */
export function scoreTask(task: EncodedTask, results: readonly RequestResult[]): TaskScore {
  const byItem = task.items.map((): RequestResult[] => []);
  for (const [i, request] of task.requests.entries()) {
    const result = results[i]!;
    if (!Number.isFinite(result.logLikelihood))
      throw new RunError(
        `${task.file}, line ${task.items[request.item]!.line}: the model gives a log-likelihood of ` +
          `${result.logLikelihood}; its weights are damaged or its training has diverged.`,
      );
    byItem[request.item]!.push(result);
  }
  if (task.layout === 'text') return textScore(task, byItem);
  return task.layout === 'continuation' ? continuationScore(task, byItem) : choiceScore(task, byItem);
}

function choiceScore({ name, layout, normalised, items }: EncodedTask, byItem: RequestResult[][]): ChoiceScore {
  /** 1 where the right option has the highest log-likelihood per unit of `size`; of equals the first is chosen. */
  const rightBy = (size: (choice: string) => number) =>
    items.map(({ gold, choices }, i) => {
      const scores = byItem[i]!.map(({ logLikelihood }, o) => logLikelihood / (choices ? size(choices[o]!) : 1));
      return scores.indexOf(Math.max(...scores)) === gold ? 1 : 0;
    });
  const plain = rightBy(() => 1);
  const score = { task: name, layout: layout as ChoiceScore['layout'], items: items.length, ...accuracy(plain) };
  if (!normalised) return { ...score, correct: plain.join('') };
  const perCharacter = rightBy((choice) => [...choice].length);
  const perByte = rightBy((choice) => Buffer.byteLength(choice));
  return {
    ...score,
    accNorm: mean(perCharacter),
    accNormStderr: standardErrorOf(perCharacter),
    accBytes: mean(perByte),
    accBytesStderr: standardErrorOf(perByte),
    correct: plain.join(''),
    correctNorm: perCharacter.join(''),
  };
}

function continuationScore({ name, items, requests }: EncodedTask, byItem: RequestResult[][]): ContinuationScore {
  const right = byItem.map(([result]) => (result!.greedy ? 1 : 0));
  const logLikelihoods = byItem.map(([result]) => result!.logLikelihood);
  const targets = requests.reduce((sum, { tokens, firstTarget }) => sum + tokens.length - firstTarget, 0);
  return {
    task: name,
    layout: 'continuation',
    items: items.length,
    perplexity: Math.exp(-mean(logLikelihoods)),
    perplexityStderr: perplexityStandardError(logLikelihoods),
    ...accuracy(right),
    loss: -logLikelihoods.reduce((sum, value) => sum + value, 0) / targets,
    correct: right.join(''),
  };
}

function textScore({ name, items }: EncodedTask, byItem: RequestResult[][]): TextScore {
  let [nats, words, bytes] = [0, 0, 0];
  for (const [i, { pairs }] of items.entries()) {
    const size = textSize(pairs[0]!.continuation);
    words += size.words;
    bytes += size.bytes;
    for (const { logLikelihood } of byItem[i]!) nats -= logLikelihood;
  }
  return {
    task: name,
    layout: 'text',
    items: items.length,
    wordPerplexity: Math.exp(nats / words),
    bytePerplexity: Math.exp(nats / bytes),
    bitsPerByte: nats / bytes / Math.LN2,
  };
}

/**
 * The losses of a task in the layout `text`, from the likelihoods that give its bits per byte: every token counts once.
 */
export function textLosses({ items, requests }: EncodedTask, results: readonly RequestResult[]): PassageLosses {
  const nats = items.map(() => 0);
  const tokens = items.map(() => 0);
  for (const [i, request] of requests.entries()) {
    nats[request.item]! -= results[i]!.logLikelihood;
    tokens[request.item]! += request.tokens.length - request.firstTarget;
  }
  return {
    passages: items.length,
    loss: mean(nats) / mean(tokens),
    passageLoss: mean(nats.map((sum, i) => sum / tokens[i]!)),
  };
}

const accuracy = (right: readonly number[]): Accuracy => ({ acc: mean(right), accStderr: standardErrorOf(right) });

/** Standard error of the sample's mean, with the divisor n - 1; 0 for one item, which says nothing about the spread. */
const standardErrorOf = (values: readonly number[]) => (values.length > 1 ? standardError(values) : 0);

/**
 * The standard error of exp(-mean(x)) by the bootstrap, as the harness has it, in closed form: over resamples of n items
 * E[exp(-k mean)] = M(-k/n)^n with M(t) the sample's mean of exp(t x), so the variance is M(-2/n)^n - M(-1/n)^(2n). It is
 * what the harness's 100,000 resamples converge to, and close to the delta method where n is large.
 */
export function perplexityStandardError(logLikelihoods: readonly number[]): number {
  const n = logLikelihoods.length;
  const centre = mean(logLikelihoods);
  // log M(-k/n) of the deviations from the mean: small numbers, so that none of their digits cancel
  const logMoment = (k: number) => Math.log1p(mean(logLikelihoods.map((x) => Math.expm1((-k * (x - centre)) / n))));
  const [first, second] = [n * logMoment(1), n * logMoment(2)];
  return Math.exp(-centre + first) * Math.sqrt(Math.max(0, Math.expm1(second - 2 * first)));
}

/** The unweighted mean over choice tasks. */
export interface MeanScore extends Accuracy {
  tasks: number;
  /** It has the plain accuracy for tasks that have no normalised one. */
  accNorm: number;
  accNormStderr: number;
}

/**
 * The mean over tasks of the layouts `choices` and `contexts`, with the standard error of that mean: the tasks' items
 * are independent, so it is the root of the summed squares over the number of tasks. Undefined when there are fewer than
 * two such tasks.
 */
export function meanScore(scores: readonly TaskScore[]): MeanScore | undefined {
  const choice = scores.filter(isChoice);
  if (choice.length < 2) return undefined;
  return {
    tasks: choice.length,
    acc: mean(choice.map(({ acc }) => acc)),
    accStderr: errorOfMean(choice.map(({ accStderr }) => accStderr)),
    accNorm: mean(choice.map(({ acc, accNorm = acc }) => accNorm)),
    accNormStderr: errorOfMean(choice.map(({ accStderr, accNormStderr = accStderr }) => accNormStderr)),
  };
}

export interface Difference {
  /** One accuracy minus the other: a minus b. */
  difference: number;
  stderr: number;
}

/**
 * The difference of two models' accuracies on the same items, with the standard error of the paired difference: much
 * smaller than that of two independent samples, since most items are as hard for both.
 *
 * @param a, b `correct` strings of one task. Undefined when they are of different lengths, so of different files.
 */
export function pairedDifference(a: string, b: string): Difference | undefined {
  if (a.length !== b.length) return undefined;
  const differences = Array.from(a, (right, i) => Number(right) - Number(b[i]));
  return { difference: mean(differences), stderr: standardErrorOf(differences) };
}

/** The paired difference of the means that {@link meanScore} gives; undefined unless both have the same tasks. */
export function pairedMeanDifference(
  a: readonly TaskScore[],
  b: readonly TaskScore[],
  metric: 'acc' | 'accNorm',
): Difference | undefined {
  const answers = (score: ChoiceScore) => (metric === 'accNorm' ? score.correctNorm : undefined) ?? score.correct;
  const others = new Map(b.filter(isChoice).map((score) => [score.task, answers(score)]));
  const differences: Difference[] = [];
  for (const score of a.filter(isChoice)) {
    const difference = pairedDifference(answers(score), others.get(score.task) ?? '');
    if (!difference) return undefined;
    differences.push(difference);
  }
  if (differences.length < 2 || differences.length !== others.size) return undefined;
  return {
    difference: mean(differences.map(({ difference }) => difference)),
    stderr: errorOfMean(differences.map(({ stderr }) => stderr)),
  };
}

/** The standard error of the mean of independent figures. */
const errorOfMean = (errors: readonly number[]) => Math.hypot(...errors) / errors.length;
