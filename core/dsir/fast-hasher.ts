/**
 * The n-grams of the package (`package-hasher.ts`) in one pass over a text's UTF-16 units: no word becomes a string.
 * The bucket is the upper part of a 32-bit hash. The words differ from the package's where a character's lower case
 * depends on others or is two characters: a capital sigma at a word's end, and U+0130.
 */
import { FNV_PRIME, FNV_START, spread, spreadPair } from '../random/spread.ts';
import { type Character, characterOf, characterTable, KIND, KIND_SHIFT, LOWER_CASE } from './characters.ts';
import type { Hasher } from './hasher.ts';

const CHUNK = 1 << 13;
let table: Uint32Array | undefined;
/** Characters beyond U+FFFF that have been met: at most a million. */
const beyond = new Map<number, Character>();

export class FastHasher implements Hasher {
  private readonly chunk = new Uint32Array(CHUNK);
  /** Turns a hash into a bucket. */
  private readonly scale: number;

  constructor(buckets: number) {
    this.scale = buckets / 2 ** 32;
  }

  scan(text: string, visit: (buckets: Uint32Array, count: number) => void): void {
    table ??= characterTable();
    // Imported names are looked up anew each time they are used, local ones are not.
    const [characters, shift, mask, space, surrogate] = [table, KIND_SHIFT, LOWER_CASE, KIND.space, KIND.surrogate];
    const [start, prime, hashOf, hashOfPair] = [FNV_START, FNV_PRIME, spread, spreadPair];
    const { chunk, scale } = this;
    let count = 0;
    let hash = start;
    let kind: number = space;
    let words = 0;
    let previous = 0;
    for (let i = 0; i <= text.length; i++) {
      // After the last character, act as if a space followed.
      let character = i < text.length ? characters[text.charCodeAt(i)]! : space << shift;
      if (character >>> shift === surrogate) {
        const codePoint = text.codePointAt(i)!;
        if (codePoint > 0xffff) i++;
        character = known(codePoint);
      }
      const next = character >>> shift;
      if (next !== kind) {
        if (kind !== space) {
          const word = hashOf(hash);
          chunk[count++] = (word >>> 0) * scale;
          if (words++ > 0) chunk[count++] = (hashOfPair(previous, word) >>> 0) * scale;
          previous = word;
          if (count > CHUNK - 2) {
            visit(chunk, count);
            count = 0;
          }
        }
        kind = next;
        hash = start;
      }
      hash = Math.imul(hash ^ (character & mask), prime);
    }
    if (count > 0) visit(chunk, count);
  }
}

function known(codePoint: number): Character {
  let character = beyond.get(codePoint);
  if (character === undefined) {
    character = characterOf(codePoint);
    beyond.set(codePoint, character);
  }
  return character;
}
