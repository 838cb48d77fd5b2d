/** Finds the input files of a corpus: paths and globs, on disk or S3. */
import { stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import picomatch from 'picomatch';
import { glob, isDynamicPattern } from 'tinyglobby';
import { InputError } from '../../errors.ts';
import { mapParallel } from '../../parallel.ts';
import { isLocalPath, type StoreOpener, splitUri } from '../../storage/index.ts';
import { formatOf, INPUT_FORMATS, type InputFile } from './input-file.ts';

/** Files looked at in parallel: each is a request to S3, and a corpus may be in tens of thousands of them. */
const REQUESTS = 16;

/**
 * The files that absolute paths, `s3://` and `builtin:` URIs, and globs of them name, each once, in the order given and by name within a glob.
 *
 * @throws InputError for a path or glob without a file, a directory, an empty file or an unknown form.
 */
export async function findInputs(inputs: readonly string[], open: StoreOpener): Promise<InputFile[]> {
  const uris = new Set<string>();
  for (const input of inputs) {
    const found = isLocalPath(input) ? await findLocal(input) : await findInStore(input, open);
    if (found.length === 0) throw noFile(input);
    for (const uri of found) uris.add(uri);
  }
  const sized = await mapParallel([...uris], REQUESTS, async (uri) => {
    const { folder, name: key } = splitUri(uri);
    const store = open(folder);
    return { uri, store, key, bytes: await store.size(key) };
  });
  const files = sized.map(checked); // in order, so that the same file is named each time
  const shared = sharedFolder([...uris]);
  return files.map((file) => ({ ...file, name: file.uri.slice(shared.length) }));
}

function checked({
  uri,
  bytes,
  ...place
}: Pick<InputFile, 'uri' | 'store' | 'key'> & { bytes: number | undefined }): Omit<InputFile, 'name'> {
  const format = formatOf(uri);
  if (!format)
    throw new InputError(`${uri}: not a supported input format; convert it to one of ${INPUT_FORMATS.join(', ')}.`);
  if (bytes === undefined) throw noFile(uri);
  if (bytes === 0) throw new InputError(`${uri}: the file is empty; remove it from corpus.input or fill it.`);
  return { uri, ...place, bytes, format };
}

/** The longest folder, with its final slash, that every path starts with. */
function sharedFolder(uris: readonly string[]): string {
  const [first = '', ...others] = uris;
  let length = first.lastIndexOf('/') + 1;
  while (others.some((uri) => !uri.startsWith(first.slice(0, length)))) length = first.lastIndexOf('/', length - 2) + 1;
  return first.slice(0, length);
}

async function findLocal(pattern: string): Promise<string[]> {
  const found = await stat(pattern).catch(() => undefined);
  if (found?.isFile()) return [pattern];
  if (found?.isDirectory()) {
    throw new InputError(
      `${pattern}: a directory; name its files by a glob such as ${pattern.replace(/\/+$/, '')}/**/*.jsonl.`,
    );
  }
  if (!isDynamicPattern(pattern)) return [];
  const { folder, rest } = await existingFolder(pattern);
  return (await glob(rest, { cwd: folder, absolute: true, expandDirectories: false })).sort();
}

/**
 * Splits off the existing folders that a pattern begins with: in a name such as `Dropbox (Personal)` nothing is a
 * pattern.
 */
async function existingFolder(pattern: string): Promise<{ folder?: string; rest: string }> {
  if (!isAbsolute(pattern)) return { rest: pattern };
  const parts = pattern.split('/').filter((part) => part !== '');
  let folder = '/';
  while (parts.length > 1 && (await stat(join(folder, parts[0]!)).catch(() => undefined))?.isDirectory())
    folder = join(folder, parts.shift()!);
  return { folder, rest: parts.join('/') };
}

/** As tinyglobby finds files on disk, by the same library; S3 has no globs of its own. */
async function findInStore(pattern: string, open: StoreOpener): Promise<string[]> {
  if (!isDynamicPattern(pattern)) return [pattern];
  const { base, glob } = picomatch.scan(pattern);
  // The parentheses of a name such as `Dropbox (Personal)` are no group, unlike those of `@(a|b)`.
  const matches = picomatch(glob.replace(/(?<![@!?*+])\(([^()|]*)\)/g, '\\($1\\)'));
  const keys = await open(base).list('');
  return keys
    .filter((key) => matches(key))
    .map((key) => `${base}/${key}`)
    .sort(); // in the order of files on disk: S3 lists by UTF-8 bytes, which differs beyond U+D7FF
}

function noFile(input: string): InputError {
  const what = isDynamicPattern(input) ? 'no file has such a name' : 'no such file';
  return new InputError(`${input}: ${what}; correct corpus.input.`);
}
