/** Results of one folder are of one set of texts: only then are runs of the same seed paired. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../../core/errors.ts';
import { sha256 } from '../../core/hash.ts';

/** SHA-256 of each file of texts, by its path; of compressed ones, of what is in them. */
type Hashes = Record<string, string>;

/**
 * Compares the texts with those that `<results>/texts.json` names, or names them there if it is missing.
 *
 * @param optional folders that may be missing in either.
 * @throws InputError when they differ.
 */
export async function requireSameTexts(data: string, results: string, optional: readonly string[] = []): Promise<void> {
  const file = join(results, 'texts.json');
  const found = await hashesOf(data);
  const recorded = await readFile(file, 'utf8').catch(() => undefined);
  const expected: Hashes = recorded === undefined ? found : JSON.parse(recorded);
  const mayLack = (path: string) =>
    optional.some((folder) => path.startsWith(`${folder}/`)) && !(path in found && path in expected);
  const all = { ...expected, ...found };
  const other = Object.keys(all).filter((path) => expected[path] !== found[path] && !mayLack(path));
  if (other.length > 0)
    throw new InputError(
      `${data}: ${other.join(', ')}: not the texts of the results in ${results}, so that runs on them are not comparable. ` +
        'Make them of the packages that bench/study/sources.sh names, or give --results a folder of its own.',
    );
  const text = `${JSON.stringify(all, null, 1)}\n`;
  if (text === recorded) return;
  await mkdir(results, { recursive: true });
  await writeFile(file, text);
}

async function hashesOf(data: string): Promise<Hashes> {
  const paths = (await readdir(data, { recursive: true })).filter((path) => /\.jsonl(\.gz)?$/.test(path)).sort();
  const hashes: Hashes = {};
  for (const path of paths) {
    const bytes = await readFile(join(data, path));
    hashes[path] = sha256(path.endsWith('.gz') ? gunzipSync(bytes) : bytes);
  }
  return hashes;
}
