/** One file of text that a corpus is made of. */
import { basename } from 'node:path';
import type { Store } from '../../storage/index.ts';

/** The forms of input that are read, by the end of the file's name. */
export const INPUT_FORMATS = ['.jsonl', '.jsonl.gz', '.jsonl.zst', '.txt', '.parquet'] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

/** Other endings of JSON Lines: C4 and Dolma have `.json.gz`. */
const OTHER_ENDINGS: Readonly<Record<string, InputFormat>> = {
  '.json.gz': '.jsonl.gz',
  '.json.zst': '.jsonl.zst',
  '.ndjson': '.jsonl',
  '.ndjson.gz': '.jsonl.gz',
  '.ndjson.zst': '.jsonl.zst',
};
const ENDINGS: [ending: string, format: InputFormat][] = [
  ...INPUT_FORMATS.map((format): [string, InputFormat] => [format, format]),
  ...Object.entries(OTHER_ENDINGS),
];

export interface InputFile {
  /** As it was given, to name in messages. */
  uri: string;
  /** The path below the folder that all inputs share: what is recorded does not depend on where that folder lies. */
  name: string;
  store: Store;
  key: string;
  bytes: number;
  format: InputFormat;
}

/** The form of a file by the end of its name. */
export function formatOf(name: string): InputFormat | undefined {
  return endingOf(name)?.[1];
}

function endingOf(name: string) {
  const lower = name.toLowerCase();
  return ENDINGS.find(([ending]) => lower.endsWith(ending));
}

/** A file's name without its folder and endings: the domain of documents that name none. */
export function baseName(path: string): string {
  const name = basename(path);
  const [ending] = endingOf(name) ?? [''];
  return name.slice(0, name.length - ending.length) || name;
}
