/**
 * Exact oracle probes against straightforward ones in PyTorch, which restore weights and moments from memory, make one
 * clipped AdamW step on the document, and compute the loss of the reference passages in batches padded to their
 * longest.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Passage } from '../core/corpus/passages.ts';
import { CounterRandom } from '../core/random/philox.ts';
import type { AdamWOptions } from '../engine/adamw.ts';
import { withCase } from './case-folder.ts';
import { compare } from './contender.ts';
import { ours, python } from './peers.ts';
import type { Bench } from './report.ts';
import { DECODERS, describe, zipfTokens } from './shapes.ts';

/**
 * The checkpoint that is probed: in a state as after many steps, with gradients of about the size that training has.
 */
export interface ProbeSettings {
  optimizer: AdamWOptions;
  /** Steps done. */
  step: number;
  /** The second moment of every parameter; the first is 0. */
  v: number;
  learningRate: number;
  clipNorm: number;
}

export const PROBE_SETTINGS: ProbeSettings = {
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  step: 1000,
  v: 1e-6,
  learningRate: 1e-3,
  clipNorm: 1,
};

export const probe: Bench = {
  name: 'probe',
  about: 'exact oracle probes against reference passages',
  async run(settings) {
    const rows = [];
    for (const of of [DECODERS.a, DECODERS.c])
      rows.push(
        ...(await withCase({ ...of, batch: 1 }, (folder) => {
          writeFileSync(
            join(folder, 'passages.json'),
            JSON.stringify(passagesLikeLambada(of.shape.vocabularySize, PASSAGES)),
          );
          writeFileSync(join(folder, 'probe.json'), JSON.stringify(PROBE_SETTINGS));
          const threads = String(settings.threads);
          return compare(
            {
              ours: ours('probe.ts', folder, threads),
              peers: python('PyTorch eager', 'probe.py', folder, threads),
              tasks: ['last word', 'whole passages'],
              unit: 'probes',
              what: (task) => `${describe(of)}, ${PASSAGES} passages, ${task}`,
              difference: (a, b) => Math.abs((a as number) - (b as number)) / Math.abs(b as number),
            },
            settings,
          );
        })),
      );
    return rows;
  },
};

/**
 * A quarter of the paper's 1,024: enough for the document's own step to be as small a part of the time as it is there.
 */
const PASSAGES = 256;

/** Quantiles 0, 0.1, 0.25, 0.5, 0.75, 0.9 and 1 of the lengths of LAMBADA's passages, in tokens of Pythia. */
const LENGTHS: readonly [share: number, tokens: number][] = [
  [0, 61],
  [0.1, 68],
  [0.25, 73],
  [0.5, 79],
  [0.75, 86],
  [0.9, 97],
  [1, 169],
];

/** Passages of random tokens, of LAMBADA's lengths; the last token is the target. */
export function passagesLikeLambada(vocabularySize: number, count: number): Passage[] {
  const random = new CounterRandom(1, 101);
  return Array.from({ length: count }, (_, i) => {
    const at = random.uniform(i);
    const above = LENGTHS.findIndex(([share]) => share >= at);
    const [[low, from], [high, to]] = [LENGTHS[Math.max(0, above - 1)]!, LENGTHS[above]!];
    const length = Math.round(from + ((to - from) * (at - low)) / (high - low || 1));
    return { tokens: Array.from(zipfTokens(length, vocabularySize, i + 1)), firstTarget: length - 1 };
  });
}
