/**
 * The n-grams of PyPI `data-selection` 1.0.3, `HashedNgramDSIR` (Xie et al. 2023, "Data Selection for Language Models
 * via Importance Resampling", arXiv 2302.03169): lower case, words and runs of punctuation, and the sha256 of the UTF-8
 * text of each word and each pair "first second", modulo the number of buckets.
 */
import { hash } from 'node:crypto';
import { WORDS } from './characters.ts';
import type { Hasher } from './hasher.ts';

/** N-grams whose bucket is remembered: frequent ones are most of a text, and a lookup costs a tenth of a hash. */
const REMEMBERED = 1 << 17;
const CHUNK = 1 << 13;

export class PackageHasher implements Hasher {
  private readonly buckets: number;
  private readonly known = new Map<string, number>();
  private readonly chunk = new Uint32Array(CHUNK);

  constructor(buckets: number) {
    this.buckets = buckets;
  }

  scan(text: string, visit: (buckets: Uint32Array, count: number) => void): void {
    let previous: string | undefined;
    let count = 0;
    for (const [word] of text.toLowerCase().matchAll(WORDS)) {
      this.chunk[count++] = this.bucketOf(word);
      if (previous !== undefined) this.chunk[count++] = this.bucketOf(`${previous} ${word}`);
      previous = word;
      if (count > CHUNK - 2) {
        visit(this.chunk, count);
        count = 0;
      }
    }
    if (count > 0) visit(this.chunk, count);
  }

  private bucketOf(ngram: string): number {
    let bucket = this.known.get(ngram);
    if (bucket === undefined) {
      bucket = remainder(hash('sha256', ngram, 'buffer'), this.buckets);
      if (this.known.size === REMEMBERED) this.known.clear();
      this.known.set(ngram, bucket);
    }
    return bucket;
  }
}

/** A big-endian number modulo a small one, 16 bits at a time: no intermediate passes 2^53. */
function remainder(digest: Buffer, divisor: number): number {
  let rest = 0;
  for (let at = 0; at < digest.length; at += 2) rest = (rest * 0x1_0000 + digest.readUInt16BE(at)) % divisor;
  return rest;
}
