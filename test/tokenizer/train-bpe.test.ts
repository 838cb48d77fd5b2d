import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import { BYTE_CHARACTERS, splitWords } from '../../core/tokenizer/byte-level.ts';
import { MinHeap } from '../../core/tokenizer/heap.ts';
import { trainBpe } from '../../core/tokenizer/index.ts';

interface File {
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges: [string, string][] };
}
const train = (texts: string[], size: number) => JSON.parse(trainBpe(texts, size)) as File;

/** The textbook algorithm: count all pairs, merge the most frequent everywhere, count again. */
function textbookMerges(texts: string[], size: number): [string, string][] {
  const alphabet = [...BYTE_CHARACTERS].sort();
  const ids = new Map(['<|endoftext|>', ...alphabet].map((token, id) => [token, id]));
  let words = texts.flatMap(splitWords).map((word) => [...Buffer.from(word)].map((byte) => BYTE_CHARACTERS[byte]!));
  const merges: [string, string][] = [];
  while (ids.size < size) {
    const counts = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const order = ([pair]: [string, number]) => pair.split(' ').map((token) => ids.get(token)!) as [number, number];
    const [best] = [...counts].sort((x, y) => {
      const [a, b] = [order(x), order(y)];
      return y[1] - x[1] || a[0] - b[0] || a[1] - b[1];
    });
    if (!best || best[1] < 2) break;
    const [left = '', right = ''] = best[0].split(' ');
    merges.push([left, right]);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    words = words.map((word) => {
      const merged: string[] = [];
      for (let i = 0; i < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) {
          merged.push(left + right);
          i++;
        } else merged.push(word[i]!);
      }
      return merged;
    });
  }
  return merges;
}

describe('trainBpe', () => {
  it('merges as the textbook does', () =>
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), maxLength: 30 })), (texts) => {
        expect(train(texts, 275).model.merges).toEqual(textbookMerges(texts, 275));
      }),
    ));

  it('puts end-of-text first, then the bytes, then the merges', () => {
    const { added_tokens, model } = train(['low lower lowest low low'], 260);
    expect(added_tokens).toMatchObject([{ id: 0, content: '<|endoftext|>', special: true }]);
    expect(model.vocab['<|endoftext|>']).toBe(0);
    expect(model.vocab['!']).toBe(1);
    expect(Object.keys(model.vocab)).toHaveLength(260);
    expect(model.merges[0]).toEqual(['l', 'o']);
    expect(model.vocab.lo).toBe(257);
  });

  it('does not depend on the order of the texts', () => {
    const texts = ['one two three', 'two three four', 'three four five six'];
    expect(trainBpe([...texts].reverse(), 290)).toBe(trainBpe(texts, 290));
  });

  it('stops where no pair occurs twice, and refuses a vocabulary without room for the bytes', () => {
    expect(train(['abcd'], 1000).model.merges).toEqual([]);
    expect(() => trainBpe(['abcd'], 256)).toThrow(ConfigError);
  });
});

describe('MinHeap', () => {
  it('gives pairs in order of priority, then item', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: -5, max: 5 }), fc.integer({ min: 0, max: 9 }))), (pairs) => {
        const heap = new MinHeap();
        for (const [priority, item] of pairs) heap.push(priority, item);
        const out: [number, number][] = [];
        while (heap.size > 0) {
          out.push([heap.priority!, heap.item!]);
          heap.pop();
        }
        expect(out).toEqual([...pairs].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
      }),
    ));
});
