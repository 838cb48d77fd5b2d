/** Describes in words what the utility of a row is, and how rows are taken by it. */
import type { RunConfig } from '../core/config/schema.ts';
import type { SelectionSummary } from '../core/formats.ts';
import { methodTraits, type ScoreKind } from '../core/selection/methods.ts';
import { weightedScores } from '../core/selection/weighted-scores.ts';

/** Each in standard deviations, except DSIR's on its own; see `measuresScale`. */
const SCORES: Record<ScoreKind, string> = {
  'influence-model': 'minus predicted influence',
  probe: 'minus probed influence',
  dsir: 'DSIR\u2019s log-weight',
  classifier: 'the classifier\u2019s score',
  loss: 'minus loss',
};

/** A score on its own, with its unit. */
const alone = (kind: ScoreKind) => (kind === 'dsir' ? SCORES.dsir : `${SCORES[kind]}, in standard deviations`);

/** One stage's selection by a score. */
interface Selected {
  stage: number;
  selection: Pick<SelectionSummary, 'method' | 'gumbel'>;
}

/** The scores of the method that the stage selected by, which may stand in for the configured one. */
const scoresOf = ({ method }: Selected['selection'], config: RunConfig) =>
  weightedScores(methodTraits(method).score, config.selection);

/** An axis's label. */
export function utilityLabel(selection: Selected['selection'], config: RunConfig): string {
  const scores = scoresOf(selection, config);
  if (scores.length === 0) return 'utility';
  const isDsir = scores.length === 1 && scores[0]![0] === 'dsir';
  return isDsir ? `utility (${SCORES.dsir})` : 'utility, in standard deviations';
}

/** What utility is in each of the stages, and how it decides which rows are kept, in sentences. */
export function aboutUtility(stages: readonly Selected[], config: RunConfig): string {
  const meaning = byStage(stages, (selection) => {
    const scores = scoresOf(selection, config);
    const parts = scores.map(([kind, weight]) => (weight === 1 ? SCORES[kind] : `${weight} times ${SCORES[kind]}`));
    return `utility is ${parts.length > 1 ? `the sum of z-scores, divided by its own standard deviation: ${parts.join(', plus ')}` : alone(scores[0]![0])}.`;
  });
  const taken = byStage(stages, ({ gumbel }) =>
    gumbel === 'none'
      ? 'the rows with the highest utility are kept.'
      : 'rows are drawn by Gumbel-top-k: high utility makes a row likelier to be kept, but not certain.',
  );
  return `${meaning} ${taken}`;
}

/** One sentence if it is true of all stages; otherwise each sentence with the stages that it is true of. */
function byStage(stages: readonly Selected[], say: (selection: Selected['selection']) => string): string {
  const said = new Map<string, number[]>();
  for (const { stage, selection } of stages) said.set(say(selection), [...(said.get(say(selection)) ?? []), stage]);
  return [...said]
    .map(([sentence, of]) => {
      const where = `In stage${of.length > 1 ? 's' : ''} ${of.join(', ')} `;
      return said.size > 1 ? where + sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1);
    })
    .join(' ');
}
