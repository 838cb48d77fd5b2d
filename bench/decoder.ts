/** Training steps and forward passes of the language model against PyTorch's. */
import { decoderForwardFlops } from '../core/cost/flops.ts';
import { withCase } from './case-folder.ts';
import { type Comparison, compare } from './contender.ts';
import { ours, python } from './peers.ts';
import type { Bench, Row, Settings } from './report.ts';
import { DECODERS, type DecoderCase, describe, LLAMA } from './shapes.ts';

/**
 * FLOPs relative to a forward pass: in training, the backward pass adds two products for each one of the forward pass.
 */
const PASSES = { forward: 1, train: 3 } as const;

export const decoder: Bench = {
  name: 'decoder',
  about: 'training steps and forward passes of GPT-NeoX and a Llama, tokens',
  async run(settings) {
    const rows: Row[] = [];
    for (const of of [DECODERS.a, DECODERS.b, DECODERS.c, LLAMA]) rows.push(...(await measure(of, settings)));
    return rows;
  },
};

function measure(of: DecoderCase, settings: Settings): Promise<Row[]> {
  return withCase(of, async (folder) => {
    const threads = String(settings.threads);
    const torch = (mode: string) => python(`PyTorch ${mode}`, 'training.py', folder, threads, mode);
    const comparison: Comparison = {
      ours: ours('decoder.ts', folder, threads),
      peers: [...torch('eager'), ...torch('compile')],
      tasks: Object.keys(PASSES),
      unit: 'tokens',
      what: (task) => `${task} ${describe(of)}`,
      difference: (a, b) => Math.abs((a as number) / (b as number) - 1),
    };
    const rows = await compare(comparison, settings);
    const flops = decoderForwardFlops(of.shape, of.length); // of a token
    for (const [i, passes] of Object.values(PASSES).entries())
      rows[i]!.share = (rows[i]!.ours.perSecond.median * flops * passes) / 1e9 / settings.gemmGigaflops;
    return rows;
  });
}
