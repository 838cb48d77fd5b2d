import type { MinHashSpec } from '../../core/dedup/minhash.ts';

/** Probability that rows of a Jaccard similarity agree in some band. */
export function detection(similarity: number, { bands, height }: Pick<MinHashSpec, 'bands' | 'height'>): number {
  return 1 - (1 - similarity ** height) ** bands;
}

/** Jaccard similarity of two rows' sets of shingles of so many tokens, each row of at least as many. */
export function jaccard(a: Int32Array, b: Int32Array, shingle: number): number {
  const shinglesOf = (tokens: Int32Array) =>
    new Set(Array.from({ length: tokens.length - shingle + 1 }, (_, i) => tokens.subarray(i, i + shingle).join(' ')));
  const [x, y] = [shinglesOf(a), shinglesOf(b)];
  const common = [...x].filter((each) => y.has(each)).length;
  return common / (x.size + y.size - common);
}
