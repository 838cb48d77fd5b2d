/**
 * The study's pools and references: 13 domains of good, medium and junk text, cut to one size, with word-shuffled text
 * and near-duplicates among them; and for each reference set 256 reference and 800 held-out passages.
 */
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { InputError } from '../../core/errors.ts';
import type { Pair } from '../../core/evaluation/prompt.ts';
import { parseTask, type TaskItem } from '../../core/evaluation/task.ts';
import { CounterRandom } from '../../core/random/philox.ts';
import { passagesOf } from '../../examples/corpus/passages.ts';
import { readAusten } from '../../examples/corpus/sources.ts';
import { Draws, numbered, sampleTexts, words } from '../../examples/corpus/text.ts';
import { type Domains, readDomains } from './texts.ts';

/** Characters of a domain: some 7,600 rows of 128 tokens at a vocabulary of 2,048. */
const CHARACTERS = 3_000_000;
const REFERENCES = 256;
const HELD_OUT = 800;
const STREAM = { shuffled: 82, duplicates: 83, passages: 84, parts: 100 };

/**
 * Folders of passages that are made only where a file of questions is given, each with the name of its task: the right
 * answers to the questions of PIQA (Bisk et al. 2020) and of ARC's easy set (Clark et al. 2018).
 */
export const QUESTIONS = { piqa: 'piqa', 'arc-easy': 'arc_easy' } as const;
export type Questions = keyof typeof QUESTIONS;

/**
 * Folders of passages: those of LAMBADA (Paperno et al. 2016), whole, which are of novels, as they are and with plain
 * quotation marks, those of Python's manual, and answers to questions.
 */
type Passages = 'lambada' | 'lambada-plain' | 'python-docs' | Questions;
/** The answers of `reference.jsonl`, without their questions. */
const ANSWERS_FILE = 'answers.jsonl';
/** The questions of `held-out.jsonl` with all their choices, for accuracies. */
export const QUESTIONS_FILE = 'questions.jsonl';
/** Characters of a choice that is sure to fit into a row, where some two and a half make a token. */
const LONGEST_CHOICE = 250;

export interface Setting {
  passages: Passages;
  /** The domain that is left out of the pool. */
  without?: string;
  /** The file of reference passages, if not `reference.jsonl`. */
  reference?: string;
  /** Near-duplicates are removed before anything is drawn, as `corpus.nearDuplicates: "remove"` does. */
  distinct?: boolean;
}

/** Reference sets, each with what its pool lacks. */
export const REFERENCE_SETS = {
  lambada: { passages: 'lambada' },
  'lambada-plain': { passages: 'lambada-plain' },
  'python-docs': { passages: 'python-docs', without: 'python-docs' },
  'lambada-distinct': { passages: 'lambada', distinct: true },
  piqa: { passages: 'piqa' },
  /** The answers alone: what filters of the text should look for, if not for "Question:" and "Answer:". */
  'piqa-answers': { passages: 'piqa', reference: ANSWERS_FILE },
  'arc-easy': { passages: 'arc-easy' },
} as const satisfies Record<string, Setting>;

export type ReferenceSet = keyof typeof REFERENCE_SETS;

/**
 * Writes `domains/<domain>.jsonl.gz`, `<set>/reference.jsonl`, `<set>/held-out.jsonl` and `unseen-novels.jsonl`.
 *
 * @param lambada JSON lines of `{"context", "continuation"}`, such as EleutherAI/lambada_openai.
 */
export async function writeCorpus(sources: string, lambada: string, out: string): Promise<void> {
  const { domains, unseen } = await readDomains(sources);
  Object.entries(domains).forEach(([name, texts], i) => {
    domains[name] = sampleTexts(texts, CHARACTERS, i);
  });
  const good = ['austen', 'moby-dick', 'speeches', 'fortunes'].flatMap((name) => domains[name]!);
  const novels = ['austen', 'moby-dick'].flatMap((name) => domains[name]!);
  const natural = { ...domains };
  const all: Domains = {
    ...natural,
    'shuffled-words': shuffledWords(good),
    'near-duplicates': nearDuplicates(novels, good),
  };
  await mkdir(join(out, 'domains'), { recursive: true });
  for (const [name, texts] of Object.entries(all))
    await writeFile(join(out, 'domains', `${name}.jsonl.gz`), gzipSync(lines(numbered(name, texts))));
  const novelPassages = await lambadaPassages(lambada);
  await writePassages(out, 'lambada', novelPassages);
  await writePassages(out, 'lambada-plain', novelPassages.map(plain));
  await writePassages(out, 'python-docs', manualPassages(domains['python-docs']!));
  const kept = (await readAusten(sources)).filter(({ title }) => ['persuasion', 'northanger abbey'].includes(title));
  const passages = new Draws(STREAM.passages).shuffle(kept.flatMap(passagesOf)).slice(0, 400);
  if (unseen.length === 0) throw new InputError('The package r-cran-janeaustenr lacks the novels kept for evaluation.');
  await writeFile(join(out, 'unseen-novels.jsonl'), lines(passages.map((text) => ({ text }))));
}

/**
 * Deals the documents of each domain to two folders, a third of them to `before`, for a model that is trained already, and the others
 * to `after`, for it to go on with.
 */
export async function splitDomains(domains: string, out: string, seed: number) {
  const parts = { before: join(out, 'before'), after: join(out, 'after') };
  await Promise.all(Object.values(parts).map((part) => mkdir(part, { recursive: true })));
  const names = (await readdir(domains)).sort();
  for (const [i, name] of names.entries()) {
    const random = new CounterRandom(seed, STREAM.parts + i);
    const documents = gunzipSync(await readFile(join(domains, name)))
      .toString()
      .split(/(?<=\n)/);
    const dealt: Record<keyof typeof parts, string[]> = { before: [], after: [] };
    for (const [n, document] of documents.entries())
      dealt[random.uniform(n) < 1 / 3 ? 'before' : 'after'].push(document);
    for (const part of ['before', 'after'] as const)
      await writeFile(join(parts[part], name), gzipSync(dealt[part].join('')));
  }
  return parts;
}

const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** The right words in no order. */
function shuffledWords(texts: string[]): string[] {
  const draws = new Draws(STREAM.shuffled);
  return take(draws.shuffle(texts), (text) => draws.shuffle(text.split(/\s+/)).join(' '));
}

/** Fifty passages again and again, in each copy 4 in 100 words replaced. */
function nearDuplicates(novels: string[], texts: string[]): string[] {
  const draws = new Draws(STREAM.duplicates);
  const bases = draws.shuffle(novels.filter((text) => text.length > 700)).slice(0, 50);
  const vocabulary = [...new Set(texts.slice(0, 500).flatMap(words))];
  const copies: string[] = [];
  for (let sum = 0, i = 0; sum < CHARACTERS; i++) {
    const copy = bases[i % bases.length]!.replace(/[A-Za-z]+/g, (word) =>
      draws.chance(0.04) ? draws.pick(vocabulary) : word,
    );
    copies.push(copy);
    sum += copy.length;
  }
  return copies;
}

function take(texts: string[], make: (text: string) => string): string[] {
  const made: string[] = [];
  for (let sum = 0, i = 0; sum < CHARACTERS && i < texts.length; i++) {
    made.push(make(texts[i]!));
    sum += made.at(-1)!.length;
  }
  return made;
}

async function lambadaPassages(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new InputError(
      `${file}: no such file; --lambada names LAMBADA's test set as JSON lines of {"context", "continuation"}.`,
    );
  });
  const passages = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { context: string; continuation: string })
    .map(({ context, continuation }) => `${context.trimEnd()} ${continuation.trim()}`);
  return new Draws(STREAM.passages).shuffle(passages);
}

/**
 * Typographic marks as the pool's texts write them. A passage of LAMBADA has two or three, each of three bytes that a model
 * of this pool has next to never seen: after the first stage their tokens, 6 % of all, have losses of 8 to 9 nats that differ
 * by up to 1.5 from seed to seed, where those of the others differ by 0.05. That is noise, whatever is selected.
 */
function plain(text: string): string {
  return text
    .replace(/[“”]/g, '"')
    .replace(/[‘’]/g, "'")
    .replace(/[–—]/g, '-')
    .replaceAll('…', '...')
    .replaceAll('\u00a0', ' ');
}

/**
 * The beginnings of the manual's documents. Those are pieces of its pages: references and held-out passages are of different
 * pieces, and pieces of one page are among both.
 */
function manualPassages(documents: string[]): string[] {
  const pieces = documents.map((text) => text.slice(0, 420).replace(/\s+\S*$/, ''));
  return new Draws(STREAM.passages).shuffle(pieces.filter((text) => text.length > 250));
}

/**
 * Writes `<set>/reference.jsonl`, `<set>/held-out.jsonl` and `<set>/answers.jsonl`: questions as contexts, right
 * answers as continuations, whose tokens alone are targets. Last it writes `<set>/questions.jsonl`, lines of the file itself.
 *
 * @param file JSON lines of `{"query", "choices", "gold"}`.
 */
export async function writeQuestions(set: Questions, file: string, out: string): Promise<void> {
  if (existsSync(join(out, set, QUESTIONS_FILE))) return;
  const { items } = await parseTask(createReadStream(file), file, { name: QUESTIONS[set] });
  const shuffled = new Draws(STREAM.passages).shuffle(items);
  const answers = shuffled.map(({ pairs, gold }) => pairs[gold]!);
  await writePassages(out, set, answers);
  const alone = answers.slice(0, REFERENCES).map(({ continuation }) => ({ text: continuation.trim() }));
  await writeFile(join(out, set, ANSWERS_FILE), lines(alone));
  const read = (await readFile(file, 'utf8')).split('\n');
  const fits = ({ choices = [] }: TaskItem) => choices.every((choice) => choice.length <= LONGEST_CHOICE);
  const questions = shuffled.slice(REFERENCES, REFERENCES + HELD_OUT).filter(fits);
  await writeFile(join(out, set, QUESTIONS_FILE), questions.map(({ line }) => `${read[line - 1]}\n`).join(''));
}

async function writePassages(out: string, name: Passages, passages: readonly (string | Pair)[]): Promise<void> {
  if (passages.length < REFERENCES + HELD_OUT)
    throw new InputError(`${name}: ${passages.length} passages, ${REFERENCES + HELD_OUT} are needed.`);
  await mkdir(join(out, name), { recursive: true });
  const write = (file: string, chosen: readonly (string | Pair)[]) =>
    writeFile(join(out, name, file), lines(chosen.map((one) => (typeof one === 'string' ? { text: one } : one))));
  const references = passages.slice(0, REFERENCES);
  // LAMBADA has a few passages twice; one that is a reference is not held out.
  const others = passages.slice(REFERENCES).filter((text) => !references.includes(text));
  await write('reference.jsonl', references);
  await write('held-out.jsonl', others.slice(0, HELD_OUT));
}
