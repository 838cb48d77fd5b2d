/**
 * Makes the example corpus: `npx tsx examples/corpus/build.ts [--sources DIR] [--out DIR]`.
 *
 * With --sources (a folder of unpacked packages, see LICENSES.md) all of it; without, only what needs none: the generated
 * domains (from the novels already there), the small corpus of the tests and LICENSES.md. The same sources give the
 * same text; the gzip files can differ between versions of zlib, which is why LICENSES.md has the hashes of the text.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync, gzipSync } from 'node:zlib';
import { InputError } from '../../core/errors.ts';
import { JUNK_DOMAINS, junkTexts } from './junk.ts';
import { DOMAINS, type DomainFigures, licences, type PassageFigures } from './licences.ts';
import { choosePassages } from './passages.ts';
import { type Novel, readAusten, readDevilsDictionary, readJargonFile, readMobyDick, readSpeeches } from './sources.ts';
import { CORPUS_STREAM, type CorpusDocument, Draws, numbered, packBlocks, sampleTexts, sentences } from './text.ts';

/** The novel that the reference passages are from, and the one of the held-out passages. Neither is in the corpus. */
const REFERENCE_NOVEL = 'persuasion';
const HELD_OUT_NOVEL = 'northanger abbey';

/** Characters taken of each source; the dictionaries are taken whole. Chosen so that a fifth is close to the target. */
const CHARACTERS = { 'novels-austen': 1_750_000, 'novels-moby-dick': 1_050_000, speeches: 2_600_000 };

/** Addresses given before this year: the language changes with broadcasting. */
const SPEECHES_END_YEAR = 1930;

const HERE = dirname(fileURLToPath(import.meta.url));

/** Documents of a domain's committed file. */
export async function readDomain(folder: string, domain: string): Promise<CorpusDocument[]> {
  const text = gunzipSync(await readFile(join(folder, `${domain}.jsonl.gz`))).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as CorpusDocument);
}

/** Texts of the novels in the corpus, which the generated domains derive from. */
export async function readNovels(folder: string): Promise<string[]> {
  const parts = await Promise.all(['novels-austen', 'novels-moby-dick'].map((domain) => readDomain(folder, domain)));
  return parts.flat().map((document) => document.text);
}

/** gzip with no time, no name and no system in its header. */
function deterministicGzip(text: string): Buffer {
  const zipped = gzipSync(text, { level: 9 });
  zipped.fill(0, 4, 8);
  zipped[9] = 0xff;
  return zipped;
}

export function toJsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

async function writeDomain(folder: string, domain: string, texts: readonly string[]): Promise<void> {
  await writeFile(join(folder, `${domain}.jsonl.gz`), deterministicGzip(toJsonLines(numbered(domain, texts))));
}

function novelTitled(novels: readonly Novel[], title: string): Novel {
  const novel = novels.find((candidate) => candidate.title === title);
  if (novel === undefined) throw new InputError(`The package r-cran-janeaustenr has no novel titled ${title}.`);
  return novel;
}

function novelTexts(novels: readonly Novel[], draws: Draws): string[] {
  return novels.flatMap((novel) => novel.chapters.flatMap((chapter) => packBlocks(chapter, '\n\n', draws)));
}

async function buildFromSources(sources: string, out: string): Promise<void> {
  const draws = new Draws(CORPUS_STREAM.documentLength);
  const austen = await readAusten(sources);
  const reference = novelTitled(austen, REFERENCE_NOVEL);
  const heldOut = novelTitled(austen, HELD_OUT_NOVEL);
  const novels = austen.filter((novel) => novel !== reference && novel !== heldOut);
  const speeches = await readSpeeches(sources, SPEECHES_END_YEAR);
  const texts: Record<string, string[]> = {
    'novels-austen': sampleTexts(novelTexts(novels, draws), CHARACTERS['novels-austen'], 0),
    'novels-moby-dick': sampleTexts(
      novelTexts([await readMobyDick(sources)], draws),
      CHARACTERS['novels-moby-dick'],
      1,
    ),
    speeches: sampleTexts(
      speeches.flatMap((speech) => packBlocks(speech, ' ', draws)),
      CHARACTERS.speeches,
      2,
    ),
    dictionary: packBlocks(await readDevilsDictionary(sources), '\n\n', draws),
    jargon: packBlocks(await readJargonFile(sources), '\n\n', draws),
  };
  for (const [domain, list] of Object.entries(texts)) await writeDomain(out, domain, list);
  const passages = choosePassages(Object.values(texts).flat(), reference, heldOut);
  await writeFile(join(out, 'reference.jsonl'), toJsonLines(passages.reference.map((text) => ({ text }))));
  await writeFile(join(out, 'held-out.jsonl'), toJsonLines(passages.heldOut.map((text) => ({ text }))));
}

/** The corpus of the fast tests: the first sentences of 50 documents of a good, a medium and a junk domain. */
async function buildMiniature(folder: string, out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  for (const domain of ['novels-austen', 'dictionary', 'logs']) {
    const texts = (await readDomain(folder, domain)).slice(0, 50).map(({ text }) => beginning(text, 400));
    await writeFile(join(out, `${domain}.jsonl`), toJsonLines(numbered(domain, texts)));
  }
  for (const name of ['reference.jsonl', 'held-out.jsonl']) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, 12);
    await writeFile(join(out, name), `${lines.join('\n')}\n`);
  }
}

/** Whole lines or sentences of a text's beginning, some `characters` long. */
function beginning(text: string, characters: number): string {
  let end = 0;
  for (const part of text.split('\n').flatMap(sentences)) {
    if (end > 0 && end + part.length > characters) break;
    end = text.indexOf(part, end) + part.length;
  }
  return text.slice(0, end);
}

/** Sizes, counts and the hash of each file's text. */
export async function figures(folder: string): Promise<{ domains: DomainFigures[]; passages: PassageFigures[] }> {
  const domains = await Promise.all(
    DOMAINS.map(async ({ domain }) => {
      const zipped = await readFile(join(folder, `${domain}.jsonl.gz`));
      const text = gunzipSync(zipped);
      const documents = await readDomain(folder, domain);
      const characters = documents.reduce((sum, document) => sum + document.text.length, 0);
      return { domain, bytes: zipped.length, documents: documents.length, characters, sha256: sha256(text) };
    }),
  );
  const passages = await Promise.all(
    ['reference.jsonl', 'held-out.jsonl'].map(async (file) => {
      const text = await readFile(join(folder, file));
      return { file, bytes: text.length, passages: text.toString().trim().split('\n').length, sha256: sha256(text) };
    }),
  );
  return { domains, passages };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { sources: { type: 'string' }, out: { type: 'string', default: HERE } } });
  const out = values.out;
  await mkdir(out, { recursive: true });
  if (values.sources !== undefined) await buildFromSources(values.sources, out);
  const novels = await readNovels(out);
  for (const domain of JUNK_DOMAINS) await writeDomain(out, domain, junkTexts(domain, novels));
  if (out === HERE) await buildMiniature(out, join(HERE, '../../test/fixtures/mini-corpus'));
  await writeFile(join(out, 'LICENSES.md'), licences(await figures(out)));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
