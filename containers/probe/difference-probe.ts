import type { LanguageModel } from '../../engine/decoder/language-model.ts';
import { fullPasses, ROWS_PER_PASS, rowLosses } from '../../engine/decoder/row-passes.ts';
import type { ParameterSet } from '../../engine/parameters.ts';
import type { Influence, InfluenceProbe } from './influence-probe.ts';

/**
 * Two sets of weights near the checkpoint. A row's influence is `scale` times (its loss under `first` - under
 * `second`).
 */
export interface ProbeCopies {
  first: ParameterSet;
  second: ParameterSet;
  scale: number;
}

/** Influence from two forward passes, however the two copies were made: see lookahead.ts and directional.ts. */
export class DifferenceProbe implements InfluenceProbe {
  readonly rowsAtOnce = ROWS_PER_PASS;
  private readonly model: LanguageModel;
  private readonly copies: ProbeCopies;

  constructor(model: LanguageModel, copies: ProbeCopies) {
    this.model = model;
    this.copies = copies;
  }

  async influences(tokens: Int32Array, length: number): Promise<Influence[]> {
    const rows = tokens.length / length;
    const filled = fullPasses(tokens, length);
    const { first, second, scale } = this.copies;
    const losses = await rowLosses(this.model, first, filled, length);
    const baselines = await rowLosses(this.model, second, filled, length);
    return Array.from({ length: rows }, (_, i) => {
      const [loss, baseline] = [losses[i]!, baselines[i]!];
      return { loss, baseline, influence: scale * (loss - baseline) };
    });
  }
}
