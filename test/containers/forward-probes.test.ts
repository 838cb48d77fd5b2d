/** The two probes that need only forward passes. */
import { describe, expect, it, vi } from 'vitest';
import { DifferenceProbe } from '../../containers/probe/difference-probe.ts';
import { checkFirstOrder, directionalCopies } from '../../containers/probe/directional.ts';
import { type InfluenceProbe, influencesOf } from '../../containers/probe/influence-probe.ts';
import { lookaheadCopies } from '../../containers/probe/lookahead.ts';
import { loadCopies, type ProbeRecord } from '../../containers/probe/prepared-probe.ts';
import type { Corpus } from '../../core/corpus/corpus.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import { RunError } from '../../core/errors.ts';
import { readParquet } from '../../core/parquet.ts';
import { planStage } from '../../core/plan/stage-plan.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { trunkLearningRate } from '../../core/schedule.ts';
import { getJson } from '../../core/storage/index.ts';
import type { LanguageModel, TokenBatch } from '../../engine/decoder/language-model.ts';
import { PassageSet } from '../../engine/decoder/passage-set.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { randomTokens, TINY_GPT, TINY_LLAMA } from '../engine/support.ts';
import {
  digests,
  emptyGradient,
  randomPassages,
  TinyRun,
  tinyConfig,
  tinyModel,
  trainedCheckpoint,
} from './support.ts';

const LENGTH = 12;
const config = tinyConfig();
const model = await tinyModel();
const passages = randomPassages(8);
const reference = new PassageSet(model, passages, 3);
const documents = Array.from({ length: 6 }, (_, i) => randomTokens(LENGTH, model.shape.vocabularySize, 30 + i));
const randomRows = Int32Array.from(
  Array.from({ length: 9 }, (_, i) => [...randomTokens(LENGTH, model.shape.vocabularySize, 60 + i)]).flat(),
);

const rateOf = ({ optimizer }: Checkpoint) => trunkLearningRate(config.pretrain, optimizer.step);

const directional = async (checkpoint = trainedCheckpoint(model)) =>
  new DifferenceProbe(model, await directionalCopies(checkpoint, reference, config, rateOf(checkpoint)));
const lookahead = async (checkpoint = trainedCheckpoint(model), references: readonly Passage[] = passages) => {
  const learningRate = rateOf(checkpoint);
  const options = { config, learningRate, passages: references, randomRows, length: LENGTH };
  return new DifferenceProbe(model, await lookaheadCopies(model, checkpoint, options));
};
const influenceOf = async (probe: InfluenceProbe, tokens: Int32Array) => (await probe.influences(tokens, LENGTH))[0]!;

describe.each([
  ['directional', directional],
  ['lookahead', lookahead],
] as const)('the %s probe', (_, open) => {
  it('never writes to the checkpoint, and gives the same bits in any order and in a new worker', async () => {
    const checkpoint = trainedCheckpoint(model);
    const before = digests(checkpoint);
    const probe = await open(checkpoint);
    const forwards = [];
    for (const tokens of documents) forwards.push(await influenceOf(probe, tokens));
    const backwards = [];
    for (const tokens of documents.toReversed()) backwards.unshift(await influenceOf(probe, tokens));
    expect(backwards).toEqual(forwards);
    expect(await influenceOf(await open(), documents[3]!)).toEqual(forwards[3]);
    // Rows that are measured together have the same values as each alone.
    const together = Int32Array.from(documents.flatMap((tokens) => [...tokens]));
    expect(await probe.influences(together, LENGTH)).toEqual(forwards);
    expect(digests(checkpoint)).toEqual(before);
    expect(new Set(forwards.map(({ influence }) => influence)).size).toBe(documents.length);
  });
});

it('refuses an influence that is not a number, and names the row, the method and what to change', async () => {
  const { parameters } = trainedCheckpoint(model);
  const second = parameters.clone();
  second.view('embed_out.weight').fill(Number.NaN);
  const probe = new DifferenceProbe(model, { first: parameters, second, scale: 1 });
  const rows = documents.slice(0, 2);
  const corpus = {
    index: { sequenceLength: LENGTH },
    tokenRows: async () => Int32Array.from(rows.flatMap((tokens) => [...tokens])),
  } as unknown as Corpus;
  const measured = (method: 'lookahead' | 'directional') => influencesOf(probe, method, corpus, [17, 4]);
  await expect(measured('lookahead')).rejects.toThrow(RunError);
  await expect(measured('lookahead')).rejects.toThrow(
    /row 17: the lookahead probe .* NaN.* lower probe\.learningRateScale/,
  );
  await expect(measured('directional')).rejects.toThrow(/directional .* lower probe\.directional\.relativeStep/);
});

describe('the directional probe', () => {
  it("is the product of the preconditioned reference gradient with the document's, times minus the rate and its share of the moment", async () => {
    const checkpoint = trainedCheckpoint(model);
    const { parameters, optimizer } = checkpoint;
    const direction = emptyGradient(model);
    await reference.gradient(parameters, direction);
    const { beta1, beta2, epsilon } = config.pretrain;
    direction.flat.forEach((g, i) => {
      direction.flat[i] = g / (Math.sqrt(optimizer.v[i]! / (1 - beta2 ** optimizer.step)) + epsilon);
    });
    direction.view('gpt_neox.embed_in.weight').fill(0);
    const probe = await directional(checkpoint);
    for (const tokens of documents) {
      const gradient = emptyGradient(model);
      const weights = new Float32Array(LENGTH - 1).fill(1 / (LENGTH - 1));
      await model.lossAndGradient(parameters, { batch: 1, length: LENGTH, tokens, weights }, gradient);
      const product = gradient.flat.reduce((sum, g, i) => sum + g * direction.flat[i]!, 0);
      const share = (1 - beta1) / (1 - beta1 ** (optimizer.step + 1));
      const expected = -rateOf(checkpoint) * share * product;
      const { influence } = await influenceOf(probe, tokens);
      expect(Math.abs(influence - expected)).toBeLessThan(0.03 * Math.abs(expected) + 1e-5);
    }
  });

  it("is the change of the reference loss that a document's part of an AdamW step makes", async () => {
    const checkpoint = trainedCheckpoint(model);
    const { parameters, optimizer } = checkpoint;
    const probe = await directional(checkpoint);
    const part = 1e-3; // of the gradient: so little of it that the second moment stays as it is
    const ratios: number[] = [];
    for (const tokens of documents) {
      const gradient = emptyGradient(model);
      await model.lossAndGradient(parameters, { batch: 1, length: LENGTH, tokens }, gradient);
      gradient.view('gpt_neox.embed_in.weight').fill(0);
      const lossAfter = async (times: number) => {
        const moved = emptyGradient(model);
        optimizer.trial(parameters.flat, gradient.flat, rateOf(checkpoint), moved.flat, times);
        return reference.loss(moved);
      };
      const change = ((await lossAfter(part)) - (await lossAfter(-part))) / (2 * part);
      ratios.push((await influenceOf(probe, tokens)).influence / change);
    }
    // The step's own second moment is beta2 of the one before, which the probe takes: some tenths less after five steps.
    const middle = ratios.sort((a, b) => a - b)[3]!;
    expect(middle).toBeGreaterThan(0.7);
    expect(middle).toBeLessThan(1.3);
  });

  it('compares its differences with products of gradients, and refuses a step so small that rounding drowns it', async () => {
    const checkpoint = trainedCheckpoint(model);
    const agreementAt = async (relativeStep: number) => {
      const at = tinyConfig({ probe: { method: 'directional', directional: { relativeStep } } });
      const copies = await directionalCopies(checkpoint, reference, at, rateOf(checkpoint));
      return checkFirstOrder(model, checkpoint.parameters, copies, randomRows, LENGTH);
    };
    expect(await agreementAt(3e-3)).toBeGreaterThan(0.95);
    await expect(agreementAt(1e-8)).rejects.toThrow(/rank correlation of .* Change probe\.directional\.relativeStep/);
  });

  it('leaves out the embedding, unless it is the head too', async () => {
    for (const [of, embedding] of [
      [TINY_GPT, 'gpt_neox.embed_in.weight'],
      [TINY_LLAMA, 'model.embed_tokens.weight'],
    ] as const)
      for (const tiedEmbeddings of [false, true]) {
        const model = await tinyModel({ ...of, tiedEmbeddings });
        const checkpoint = trainedCheckpoint(model);
        const set = new PassageSet(model, passages, 3);
        const { first } = await directionalCopies(checkpoint, set, config, rateOf(checkpoint));
        const [before, after] = [checkpoint.parameters, first].map((p) => p.view(embedding));
        if (tiedEmbeddings) expect(after).not.toEqual(before);
        else expect(after).toEqual(before);
      }
  });

  it('takes the gradient of the whole reference set, however it is cut into batches', async () => {
    const { parameters } = trainedCheckpoint(model);
    const [whole, parts] = [new ParameterSet(model.specs), new ParameterSet(model.specs)];
    await new PassageSet(model, passages, 8).gradient(parameters, whole);
    await new PassageSet(model, passages, 3).gradient(parameters, parts);
    const scale = Math.max(...whole.flat.map(Math.abs));
    whole.flat.forEach((g, i) => {
      expect(Math.abs(g - parts.flat[i]!)).toBeLessThan(1e-5 * scale);
    });
  });
});

describe('the lookahead probe', () => {
  it('finds what is like the references more helpful than what is not', async () => {
    // All references say the same thing; half of the documents say it too.
    const said = [...randomTokens(LENGTH, model.shape.vocabularySize, 7)];
    const alike = Array.from({ length: 8 }, () => ({ tokens: said, firstTarget: 1 }));
    const probe = await lookahead(trainedCheckpoint(model), alike);
    const near = await influenceOf(probe, Int32Array.from(said));
    expect(near.influence).toBeLessThan(0);
    for (const tokens of documents) expect(near.influence).toBeLessThan((await influenceOf(probe, tokens)).influence);
  });

  const copiesAt = (learningRate: number, by = model) =>
    lookaheadCopies(by, trainedCheckpoint(model), { config, learningRate, passages, randomRows, length: LENGTH });

  it('ends its steps where they have made it worse at the references, and says so', async () => {
    const { guard, steps, tried } = await copiesAt(3);
    expect(guard.after).toBeGreaterThan(guard.before);
    expect([steps, tried]).toEqual([4, 4]);
    const good = await copiesAt(rateOf(trainedCheckpoint(model)));
    expect(good.guard.after).toBeLessThan(good.guard.before);
  });

  it('counts the rows of its control copy and the passages that it reads to guard itself', async () => {
    let read = 0;
    const counting: LanguageModel = Object.create(model);
    for (const name of ['hiddenStates', 'hiddenStatesAt'] as const)
      counting[name] = (parameters: ParameterSet, batch: TokenBatch, at: Int32Array = new Int32Array()) => {
        read += batch.batch;
        return model[name](parameters, batch, at);
      };
    const { guardReads, controlRows } = await copiesAt(1e-3, counting);
    expect(read).toBeGreaterThan(2);
    expect(guardReads).toBe(read);
    expect(controlRows).toBe(9); // of each batch of 32
  });

  it('refuses copies that have diverged, and says what to change', async () => {
    const references = copiesAt(1e30);
    await expect(references).rejects.toThrow(RunError);
    await expect(references).rejects.toThrow(
      /kept aside is NaN after 4 steps.* lower probe\.learningRateScale \(now 1\)/,
    );
    const broken: LanguageModel = Object.create(model);
    broken.lossAndGradient = async (parameters, batch, gradient) => {
      const loss = await model.lossAndGradient(parameters, batch, gradient);
      return batch.tokens[0] === randomRows[0] && batch.length === LENGTH ? Number.NaN : loss;
    };
    await expect(copiesAt(1e-3, broken)).rejects.toThrow(/random rows is NaN after 0 steps.* probe\.learningRateScale/);
  });

  it('refuses a reference set that is too small to hold anything back', async () => {
    const one = passages.slice(0, 1);
    await expect(lookahead(trainedCheckpoint(model), one)).rejects.toThrow(
      /reference\.input has 1 passage, counting equal ones once: too few/,
    );
  });
});

describe.each(['directional', 'lookahead'] as const)('a run with probe.method %s', (method) => {
  it('measures the same in one job as in several', async () => {
    const measured: Map<number, number>[] = [];
    for (const jobs of [1, 3]) {
      const tiny = await TinyRun.create(tinyConfig({ probe: { method, documents: 12, jobs, flushEvery: 2 } }));
      await tiny.prepare();
      await tiny.stage(0);
      const { probeItems } = planStage(tiny.run.record.config, (await openRunCorpus(tiny.run)).index, 1);
      const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      await tiny.stage(1);
      const told = said.mock.calls.join();
      said.mockRestore();
      const { controlRows } = await getJson<ProbeRecord>(tiny.store, 'stages/1/probe-model/probe.json');
      if (method === 'lookahead') {
        // Its steps have room for 12 x 32 rows.
        expect(controlRows).toBeGreaterThan(0);
        expect(told).toContain(`Warning: stage 1: only ${controlRows} rows of the hold-out are not probed`);
      } else expect([controlRows, told.includes('not probed')]).toEqual([undefined, false]);
      const found = new Map<number, number>();
      for (let item = 0; item < probeItems; item++) {
        const key = `stages/1/probes/0000${item}.parquet`;
        const columns = await readParquet({ store: tiny.store, key }, { row: 'INT64', influence: 'DOUBLE' });
        columns.row.forEach((row, i) => {
          found.set(row, columns.influence[i]!);
        });
      }
      measured.push(found);
      const weights = 'stages/1/probe-model/second/model.safetensors';
      await tiny.store.put(weights, await tiny.store.get('stages/0/checkpoint/model.safetensors'));
      const record = await getJson<ProbeRecord>(tiny.store, 'stages/1/probe-model/probe.json');
      await expect(loadCopies(tiny.run, 1, record)).rejects.toThrow(/second\/model\.safetensors has other content/);
    }
    expect(measured[0]!.size).toBe(12);
    expect(measured[1]).toEqual(measured[0]);
  });
});
