/** Scoring with the influence model, from texts to scores, compared with transformers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CounterRandom } from '../core/random/philox.ts';
import { DirectoryStore } from '../core/storage/index.ts';
import { type BertShape, bertSpecs } from '../engine/bert/bert.ts';
import { saveInfluenceModel } from '../engine/files/bert-checkpoint.ts';
import { initialParameters } from '../engine/parameters.ts';
import { compare } from './contender.ts';
import { exampleTexts } from './example-texts.ts';
import { ours, python } from './peers.ts';
import type { Bench, Row, Settings } from './report.ts';
import { MINI_LM } from './shapes.ts';
import { wordPieces } from './word-pieces.ts';

interface ScoringCase {
  name: string;
  shape: BertShape;
  texts: string[];
  /** The most wordpieces of a text that are read. */
  longest: number;
  tasks: readonly string[];
  /** The orders in which the peer takes the texts. */
  orders: readonly ('given' | 'sorted')[];
}

const BERT_BASE: BertShape = { ...MINI_LM, layers: 12, width: 768, heads: 12, intermediateWidth: 3072 };
const LAST_WORDS = 350;

export const scoring: Bench = {
  name: 'scoring',
  about: 'influence scores from texts, documents',
  async run(settings) {
    const rows: Row[] = [];
    for (const of of cases()) rows.push(...(await measure(of, settings)));
    return rows;
  },
};

function cases(): ScoringCase[] {
  const all = exampleTexts();
  const spread = (count: number, texts = all) =>
    Array.from({ length: count }, (_, i) => texts[Math.floor(((i + 0.5) * texts.length) / count)]!);
  // A pool's rows are equally long, so these texts fill their 128 wordpieces.
  const long = all.filter(({ length }) => length > 1000);
  const both = ['float32', 'int8'];
  return [
    {
      name: 'MiniLM-L6, rows of 128 tokens',
      shape: MINI_LM,
      texts: spread(64, long),
      longest: 128,
      tasks: both,
      orders: ['given'],
    },
    {
      name: 'MiniLM-L6, documents',
      shape: MINI_LM,
      texts: spread(128).map(cut),
      longest: 512,
      tasks: ['tokenize', ...both],
      orders: ['given', 'sorted'],
    },
    {
      name: 'BERT-base, rows of 128 tokens',
      shape: BERT_BASE,
      texts: spread(16, long),
      longest: 128,
      tasks: both,
      orders: ['given'],
    },
  ];
}

/**
 * The text's first words: 16 to 350 of them, with the logarithm of their number evenly distributed, or all there are.
 */
function cut(text: string, number: number): string {
  const words = 16 * (LAST_WORDS / 16) ** new CounterRandom(1, 103).uniform(number);
  return text.split(' ').slice(0, Math.round(words)).join(' ');
}

async function measure(
  { name, shape, texts, longest, tasks, orders }: ScoringCase,
  settings: Settings,
): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'mates-bench-'));
  try {
    const store = new DirectoryStore(join(folder, 'model'));
    const parameters = initialParameters(bertSpecs(shape), 1);
    await saveInfluenceModel(store, '', { shape, parameters, mean: 0, std: 1 });
    writeFileSync(
      join(folder, 'model', 'tokenizer.json'),
      JSON.stringify(wordPieces(exampleTexts(), shape.vocabularySize)),
    );
    writeFileSync(join(folder, 'texts.json'), JSON.stringify(texts));
    const common = [folder, String(settings.threads), String(longest)];
    return await compare(
      {
        ours: ours('scoring.ts', ...common),
        peers: orders.flatMap((order) => python(`transformers, ${order} order`, 'scoring.py', ...common, order)),
        tasks,
        unit: 'documents',
        what: (task) => `${name}, ${task}`,
        difference: (a, b) => (Array.isArray(a) ? greatestDifference(a, b as number[]) : 0),
      },
      settings,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The greatest difference, in standard deviations of their values. */
function greatestDifference(ours: readonly number[], theirs: readonly number[]): number {
  const mean = theirs.reduce((sum, value) => sum + value, 0) / theirs.length;
  const std = Math.sqrt(theirs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / theirs.length);
  return Math.max(...ours.map((value, i) => Math.abs(value - theirs[i]!))) / std;
}
