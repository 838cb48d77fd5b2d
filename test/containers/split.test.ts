import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spearmanInterval } from '../../containers/influence-model/spearman-interval.ts';
import { dealFolds, notHeldOut, splitLabelled, unseenBefore } from '../../containers/influence-model/split.ts';
import { RunError } from '../../core/errors.ts';
import { bootstrapInterval, spearman } from '../../core/metrics/index.ts';
import { CounterRandom, STREAM } from '../../core/random/philox.ts';

interface One {
  row: number;
  document: string;
}
const shares = { testFraction: 0.2, validationFraction: 0.1 };
const dealt = <T extends { row: number }>(labelled: T[], documentsOf: (row: number) => string[]) =>
  splitLabelled(labelled, documentsOf, shares, new CounterRandom(7, STREAM.influenceSplit, 1));
const split = (labelled: One[]) => dealt(labelled, (row) => [labelled[row]!.document]);
/** Rows of documents, each of which has the given number of rows. */
const rowsOf = (counts: number[]): One[] =>
  counts
    .flatMap((count, d) => Array.from({ length: count }, () => `d${d}`))
    .map((document, row) => ({ row, document }));

describe('probed rows', () => {
  it('are dealt in whole documents, each row to one set, the shares as asked for', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 60, maxLength: 120 }), (counts) => {
        const labelled = rowsOf(counts);
        const { fit, validation, test, by } = split(labelled);
        expect(by).toBe('document');
        const all = [...fit, ...validation, ...test].map(({ row }) => row).sort((a, b) => a - b);
        expect(all).toEqual(labelled.map(({ row }) => row));
        const documents = [fit, validation, test].map((set) => new Set(set.map(({ document }) => document)));
        expect(documents[0]!.size + documents[1]!.size + documents[2]!.size).toBe(counts.length);
        expect(Math.abs(test.length - 0.2 * labelled.length)).toBeLessThan(4);
        expect(Math.abs(validation.length - 0.1 * labelled.length)).toBeLessThan(4);
      }),
      { numRuns: 50 },
    );
  });

  /** Documents of these lengths one after the other, in rows of 10 tokens: the documents of each row. */
  const packed = (lengths: number[]): string[][] => {
    const tokens = lengths.flatMap((length, d) => new Array<string>(length).fill(`d${d}`));
    return Array.from({ length: Math.floor(tokens.length / 10) }, (_, row) => [
      ...new Set(tokens.slice(10 * row, 10 * row + 10)),
    ]);
  };
  const texts = fc.record({
    lengths: fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 300, maxLength: 400 }),
    every: fc.integer({ min: 2, max: 4 }), // of which some are probed, so that most neighbours are not
  });

  it('have no document in two sets, though rows hold the rest of one and the beginning of another', () => {
    fc.assert(
      fc.property(texts, ({ lengths, every }) => {
        const documents = packed(lengths);
        const documentsOf = (row: number) => documents[row]!;
        const probed = documents.flatMap((_, row) => (row % every === 0 || row % 7 === 0 ? [{ row }] : []));
        const { by, ...sets } = dealt(probed, documentsOf);
        expect(by).toBe('document');
        const inSets = Object.values(sets).map((set) => [...new Set(set.flatMap(({ row }) => documentsOf(row)))]);
        expect(new Set(inSets.flat()).size).toBe(inSets.flat().length);
        const before = documents.flatMap((_, row) => (row % 5 === 0 ? [row] : []));
        const earlier = notHeldOut({ rows: before, labels: before }, { by, ...sets }, documentsOf);
        const held = new Set([...sets.test, ...sets.validation].flatMap(({ row }) => documentsOf(row)));
        expect(earlier.rows.flatMap(documentsOf).filter((document) => held.has(document))).toEqual([]);
        const seen = new Set(before.flatMap(documentsOf));
        const unseen = unseenBefore(sets.test, before, by, documentsOf);
        expect(unseen.flatMap(({ row }) => documentsOf(row)).filter((document) => seen.has(document))).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('are tested on in fair shares, whether a document has one row or many', () => {
    const counts = Array.from({ length: 120 }, (_, d) => 1 + (d % 4));
    const labelled = rowsOf(counts);
    const documentsOf = (row: number) => [labelled[row]!.document];
    const tested = [0, 0, 0, 0]; // documents in the test set, by their rows
    for (let seed = 0; seed < 200; seed++) {
      const { test } = splitLabelled(labelled, documentsOf, shares, new CounterRandom(seed, STREAM.influenceSplit, 1));
      for (const document of new Set(test.map((one) => one.document)))
        tested[counts[Number(document.slice(1))]! - 1]!++;
    }
    // Of 200 seeds x 30 documents each, 20 %; three standard deviations of such a share are 1.5 %.
    for (const count of tested) expect(Math.abs(count / 6000 - 0.2)).toBeLessThan(0.02);
  });

  it('are dealt one by one where each shares a document with the next', () => {
    const probed = Array.from({ length: 100 }, (_, row) => ({ row }));
    const chain = dealt(probed, (row) => [`d${row}`, `d${row + 1}`]);
    expect([chain.by, chain.fit.length, chain.validation.length, chain.test.length]).toEqual(['row', 70, 10, 20]);
  });

  it('are fitted where their document is longer than a set', () => {
    const { fit, by } = split(rowsOf([60, ...new Array(100).fill(1)]));
    expect(by).toBe('document');
    expect(fit.filter(({ document }) => document === 'd0')).toHaveLength(60);
  });

  it('are dealt one by one where documents are too few and long', () => {
    const { fit, validation, test, by } = split(rowsOf([50, 50]));
    expect([by, fit.length, validation.length, test.length]).toEqual(['row', 70, 10, 20]);
  });

  it('are refused where they are too few for three sets', () => {
    expect(() => split(rowsOf([1, 1, 1, 1, 1]))).toThrow(RunError);
  });
});

describe('probes of earlier stages', () => {
  const documentsOf = (row: number) => [`d${row % 10}`]; // rows 1, 11, 21 are of one document
  const sets = { fit: [{ row: 3 }], validation: [{ row: 14 }], test: [{ row: 5 }] };
  const earlier = { rows: [3, 13, 4, 5, 25, 6, 6], labels: [0, 1, 2, 3, 4, 5, 6] };

  it('are fitted, except those of documents that are held out and rows that have a new label', () => {
    expect(notHeldOut(earlier, { ...sets, by: 'document' }, documentsOf)).toEqual({
      rows: [13, 6, 6],
      labels: [1, 5, 6],
    });
  });

  it('are held out by row where rows were dealt', () => {
    expect(notHeldOut(earlier, { ...sets, by: 'row' }, documentsOf)).toEqual({
      rows: [13, 4, 25, 6, 6],
      labels: [1, 2, 4, 5, 6],
    });
  });
});

describe('probes that an earlier model has not seen', () => {
  const documentsOf = (row: number) => [`d${row % 10}`];
  const probes = [{ row: 1 }, { row: 12 }, { row: 23 }, { row: 4 }];

  it('exclude the documents of those that it has seen, or the rows where rows were dealt', () => {
    expect(unseenBefore(probes, [11, 2, 4], 'document', documentsOf)).toEqual([{ row: 23 }]);
    expect(unseenBefore(probes, [11, 2, 4], 'row', documentsOf)).toEqual([{ row: 1 }, { row: 12 }, { row: 23 }]);
  });
});

describe('the interval of the Spearman correlation', () => {
  const at = { seed: 3, stage: 2 };
  const rowInterval = (x: number[], y: number[]) =>
    bootstrapInterval(
      x.length,
      (drawn) =>
        spearman(
          Array.from(drawn, (i) => x[i]!),
          Array.from(drawn, (i) => y[i]!),
        ),
      at,
    );
  const normals = (n: number, stream: number) => {
    const random = new CounterRandom(stream, STREAM.bootstrap);
    return Array.from({ length: n }, (_, i) => random.normal(i));
  };

  it('is the interval over rows where each document has one row', () => {
    const [x, noise] = [normals(40, 1), normals(40, 2)];
    const y = x.map((value, i) => value + noise[i]!);
    const alone = x.map((_, i) => [`d${i}`]);
    expect(spearmanInterval(x, y, alone, at)).toEqual(rowInterval(x, y));
  });

  it('is no narrower for rows that repeat what their document says', () => {
    const [x, noise] = [normals(12, 1), normals(12, 2)];
    const y = x.map((value, i) => value + noise[i]!);
    const fiveTimes = <T>(values: readonly T[]) => values.flatMap((value) => new Array<T>(5).fill(value));
    const documents = x.map((_, i) => [`d${i}`]);
    const once = spearmanInterval(x, y, documents, at);
    const repeated = spearmanInterval(fiveTimes(x), fiveTimes(y), fiveTimes(documents), at);
    expect(repeated[0]).toBeCloseTo(once[0], 9);
    expect(repeated[1]).toBeCloseTo(once[1], 9);
    const [low, high] = rowInterval(fiveTimes(x), fiveTimes(y));
    expect(high - low).toBeLessThan(0.6 * (once[1] - once[0])); // what rows drawn one by one would claim
  });

  it('spans -1 to 1 where all rows belong together as one document', () => {
    expect(spearmanInterval([1, 2, 3], [1, 2, 3], [['a'], ['a'], ['a']], at)).toEqual([-1, 1]);
    expect(spearmanInterval([1, 2, 3], [1, 2, 3], [['a'], ['a', 'b'], ['b']], at)).toEqual([-1, 1]);
  });
});

it('folds have each row once, and no document in two of them', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 40, maxLength: 80 }), (counts) => {
      const labelled = rowsOf(counts);
      const rows = labelled.map(({ row }) => row).reverse(); // positions, and not rows, are dealt
      const documentOf = (row: number) => labelled[row]!.document;
      const random = new CounterRandom(7, STREAM.ridgeSplit, 1);
      const folds = dealFolds(rows, (row) => [documentOf(row)], 5, random);
      expect(folds.flat().sort((a, b) => a - b)).toEqual([...rows.keys()]);
      const documents = folds.map((fold) => new Set(fold.map((position) => documentOf(rows[position]!))));
      expect(documents.reduce((sum, { size }) => sum + size, 0)).toBe(counts.length);
      const sizes = folds.map(({ length }) => length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(5);
    }),
    { numRuns: 50 },
  );
});
