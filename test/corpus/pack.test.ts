import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MIXED_DOMAIN, type Row, ShardPacker } from '../../core/corpus/packing/pack.ts';

const END = 0;
/** Documents whose tokens are all different, so that each can be followed. */
const documents = fc
  .array(fc.record({ domain: fc.constantFrom('a', 'b', 'c'), length: fc.integer({ min: 1, max: 40 }) }), {
    maxLength: 30,
  })
  .map((list) => {
    let next = 1;
    return list.map(({ domain, length }, i) => ({
      id: `d${i}`,
      domain,
      tokens: Array.from({ length }, () => next++),
    }));
  });

function pack(list: { id: string; domain: string; tokens: number[] }[], sequenceLength: number) {
  const packer = new ShardPacker(sequenceLength, END);
  const rows: Row[] = list.flatMap(({ id, domain, tokens }) => packer.add(id, domain, tokens));
  const { rows: ends, droppedTokens } = packer.finish();
  return { rows, ends, droppedTokens };
}

describe('packing', () => {
  it('puts every token into one row, or counts it as dropped', () =>
    fc.assert(
      fc.property(documents, fc.integer({ min: 2, max: 17 }), (list, sequenceLength) => {
        const { rows, ends, droppedTokens } = pack(list, sequenceLength);
        const packed = [...rows, ...ends].flatMap(({ tokens }) => [...tokens]);
        const given = list.reduce((sum, { tokens }) => sum + tokens.length + 1, 0);
        expect(packed.length + droppedTokens).toBe(given);
        expect(droppedTokens).toBeLessThan(sequenceLength);
        const contents = packed.filter((token) => token !== END);
        expect(new Set(contents).size).toBe(contents.length);
        for (const { tokens } of [...rows, ...ends]) expect(tokens.length).toBe(sequenceLength);
      }),
    ));

  it('keeps domains apart except in mixed rows, and names the documents of each row', () =>
    fc.assert(
      fc.property(documents, fc.integer({ min: 2, max: 17 }), (list, sequenceLength) => {
        const owner = new Map(list.flatMap(({ id, domain, tokens }) => tokens.map((token) => [token, { id, domain }])));
        const { rows, ends } = pack(list, sequenceLength);
        for (const row of [...rows, ...ends]) {
          const owners = [...row.tokens].flatMap((token) => owner.get(token) ?? []);
          if (row.domain !== MIXED_DOMAIN) expect(owners.every(({ domain }) => domain === row.domain)).toBe(true);
          expect(owners.every(({ id }) => row.documents.includes(id))).toBe(true);
          // All but perhaps the last end in the row: no document is named that has no token in it.
          const ended = [...row.tokens].filter((token) => token === END).length;
          expect(row.documents).toHaveLength(ended + (row.tokens.at(-1) === END ? 0 : 1));
        }
        expect(ends.every(({ domain }) => domain === MIXED_DOMAIN)).toBe(true);
      }),
    ));

  it('ends each document with end-of-text, and goes on in the next row', () => {
    const { rows, ends, droppedTokens } = pack(
      [
        { id: 'x', domain: 'b', tokens: [1, 2, 3, 4, 5] },
        { id: 'y', domain: 'b', tokens: [6] },
        { id: 'z', domain: 'a', tokens: [7, 8] },
      ],
      4,
    );
    expect(rows.map(({ tokens, documents }) => [[...tokens], documents])).toEqual([
      [[1, 2, 3, 4], ['x']],
      [
        [5, END, 6, END],
        ['x', 'y'],
      ],
    ]);
    expect(ends).toEqual([]);
    expect(droppedTokens).toBe(3);
  });
});
