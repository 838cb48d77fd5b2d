/** Finds the input files of a corpus: paths and globs, on disk or S3. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { InputError } from '../errors.ts';
import { type Store, type StoreOpener, splitUri } from '../storage/index.ts';
import { readPieces } from './read-bytes.ts';

/** The forms of input that are read, by the end of the file's name. */
export const INPUT_FORMATS = ['.jsonl', '.jsonl.gz', '.jsonl.zst', '.txt', '.parquet'] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

export interface InputFile {
  /** `s3://...`, or the path as it was given (so that it does not depend on the machine). */
  uri: string;
  store: Store;
  key: string;
  bytes: number;
  format: InputFormat;
}

/**
 * The files that paths and globs name, each once, in the order given and by name within a glob.
 *
 * @param baseDirectory what relative paths are relative to: a directory or an `s3://` prefix.
 * @throws InputError for a path or glob without a file, a directory, an empty file or an unknown form.
 */
export async function findInputs(
  inputs: readonly string[],
  baseDirectory: string,
  opener: StoreOpener,
): Promise<InputFile[]> {
  const files = new Map<string, InputFile>();
  for (const input of inputs) {
    const pattern =
      isRemote(baseDirectory) && !isRemote(input) && !isAbsolute(input) ? join(baseDirectory, input) : input;
    const uris = isRemote(pattern) ? await findRemote(pattern, opener) : await findLocal(pattern, baseDirectory);
    if (uris.length === 0) throw noFile(input, baseDirectory);
    for (const uri of uris) if (!files.has(uri)) files.set(uri, await openInput(uri, baseDirectory, opener));
  }
  return [...files.values()];
}

/** sha256 of a file, read piece by piece. */
export async function hashInput(file: InputFile): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readPieces(file)) hash.update(piece);
  return hash.digest('hex');
}

/** A file's name without its folder and endings: the domain of documents that name none. */
export function baseName(uri: string): string {
  const name = basename(uri);
  const format = INPUT_FORMATS.find((ending) => name.endsWith(ending)) ?? '';
  return name.slice(0, name.length - format.length) || name;
}

async function openInput(uri: string, baseDirectory: string, opener: StoreOpener): Promise<InputFile> {
  const format = [...INPUT_FORMATS].reverse().find((ending) => uri.toLowerCase().endsWith(ending));
  if (!format) {
    throw new InputError(`${uri}: not a form of input that is read; convert it to one of ${INPUT_FORMATS.join(', ')}.`);
  }
  const { folder, name } = splitUri(isRemote(uri) ? uri : resolve(baseDirectory, uri));
  const store = opener(folder);
  const bytes = await store.size(name);
  if (bytes === undefined) throw noFile(uri, baseDirectory);
  if (bytes === 0) throw new InputError(`${uri}: the file is empty; remove it from corpus.input or fill it.`);
  return { uri, store, key: name, bytes, format };
}

async function findLocal(pattern: string, baseDirectory: string): Promise<string[]> {
  const found = await stat(resolve(baseDirectory, pattern)).catch(() => undefined);
  if (found?.isFile()) return [pattern];
  if (found?.isDirectory()) {
    throw new InputError(`${pattern}: a directory; name its files by a glob such as ${join(pattern, '**/*.jsonl')}.`);
  }
  if (!isDynamicPattern(pattern)) return [];
  const matches = await glob(pattern, { cwd: baseDirectory, absolute: isAbsolute(pattern), expandDirectories: false });
  return matches.sort();
}

async function findRemote(pattern: string, opener: StoreOpener): Promise<string[]> {
  const [, bucket = '', key = ''] = /^(s3:\/\/[^/]+)\/(.*)$/.exec(pattern) ?? [];
  if (!isDynamicPattern(key)) return [pattern];
  const fixed = key.slice(0, key.search(/[*?{[]/));
  const folder = fixed.slice(0, fixed.lastIndexOf('/') + 1);
  const matches = globPattern(key.slice(folder.length));
  const keys = await opener(`${bucket}/${folder}`).list('');
  return keys.filter((name) => matches.test(name)).map((name) => `${bucket}/${folder}${name}`);
}

/** `*`, `**`, `?` and `{a,b}` as a regular expression: S3 has no globs of its own. */
function globPattern(pattern: string): RegExp {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\{[^}]*\}|[.+^$()|[\]\\]/g, (part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (part.startsWith('{')) return `(?:${part.slice(1, -1).split(',').map(escapePattern).join('|')})`;
    return escapePattern(part);
  });
  return new RegExp(`^${source}$`);
}

const escapePattern = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const isRemote = (uri: string) => uri.startsWith('s3://');
const join = (folder: string, name: string) => `${folder.replace(/\/+$/, '')}/${name}`;

function noFile(input: string, baseDirectory: string): InputError {
  const what = isDynamicPattern(input) ? 'matches no file' : 'there is no such file';
  return new InputError(`${input}: ${what} (looked in ${baseDirectory}); correct corpus.input.`);
}
