import type { LanguageModel } from '../../engine/language-model.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import { rowLosses } from '../../engine/passage-set.ts';
import type { Influence, InfluenceProbe } from './influence-probe.ts';

/** Two sets of weights near the checkpoint; a row's influence is `scale` times its loss by the first less that by the second. */
export interface ProbeCopies {
  first: ParameterSet;
  second: ParameterSet;
  scale: number;
}

/** Rows of one forward pass. All passes have so many, filled up if need be: a graph alone may round a lone row otherwise. */
const BATCH = 16;

/** Influence from two forward passes, whichever way the two copies were made: see lookahead.ts and directional.ts. */
export class DifferenceProbe implements InfluenceProbe {
  readonly rowsAtOnce = BATCH;
  private readonly model: LanguageModel;
  private readonly copies: ProbeCopies;

  constructor(model: LanguageModel, copies: ProbeCopies) {
    this.model = model;
    this.copies = copies;
  }

  async influences(tokens: Int32Array, length: number): Promise<Influence[]> {
    const rows = tokens.length / length;
    const padded = new Int32Array(Math.ceil(rows / BATCH) * BATCH * length);
    padded.set(tokens);
    const { first, second, scale } = this.copies;
    const losses = await rowLosses(this.model, first, padded, length, BATCH);
    const baselines = await rowLosses(this.model, second, padded, length, BATCH);
    return Array.from({ length: rows }, (_, i) => {
      const [loss, baseline] = [losses[i]!, baselines[i]!];
      return { loss, baseline, influence: scale * (loss - baseline) };
    });
  }
}
