import { InputError, RunError } from '../errors.ts';

/** Bytes of an object in order, cut anywhere. A piece must keep its bytes after it was handed over. */
export type Pieces = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** What an object is made of: all of it, or pieces that are written as they come, so that it may be larger than memory. */
export type Content = Uint8Array | string | Pieces;

/** Where the bytes of a corpus or run live. Keys are relative, with forward slashes, and never start with one. */
export interface Store {
  /** The root that keys are relative to: `s3://bucket/prefix` or a directory's absolute path, as a person would write it. */
  readonly uri: string;
  /**
   * The object's bytes, or `range.length` of them from `range.offset`, fewer where the object ends before. Throws
   * {@link NotFoundError}.
   */
  get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array>;
  /**
   * Writes the whole object or nothing: no reader ever sees half of it, even when the pieces end in an error, which is
   * passed on.
   *
   * @param bytes the size of pieces, where it is known: S3 needs it beforehand for objects above 160 GB.
   */
  put(key: string, content: Content, bytes?: number): Promise<void>;
  /** Writes a short text, but only if the key is free; false when it is taken (S3: `If-None-Match: *`). */
  putIfAbsent(key: string, text: string): Promise<boolean>;
  /** Size in bytes, or undefined when there is no such object. */
  size(key: string): Promise<number | undefined>;
  /** Every key under a prefix, in ascending order of UTF-8 bytes. */
  list(prefix: string): Promise<string[]>;
  delete(key: string): Promise<void>;
}

/**
 * An object that is not there. Its `name` stays `InputError`: threads, jobs and functions pass errors on by name, so
 * that whatever receives it treats it as one.
 */
export class NotFoundError extends InputError {
  readonly uri: string;
  constructor(uri: string) {
    super(`${uri} does not exist: it was moved or deleted. Restore it from a copy, or make it again.`);
    this.uri = uri;
  }
}

const decoder = new TextDecoder();

/** @throws NotFoundError, and InputError when the object is not valid JSON. */
export async function getJson<T>(store: Store, key: string): Promise<T> {
  const text = decoder.decode(await store.get(key));
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new InputError(
      `${store.uri}/${key} is not valid JSON (${(error as Error).message}): it was changed or damaged. ` +
        'Restore it from a copy, or delete it and make it again.',
    );
  }
}

/** Two-space JSON with a final newline: the files are read by people too. */
export async function putJson(store: Store, key: string, value: unknown): Promise<void> {
  await store.put(key, jsonText(value));
}

/** The text of a JSON file. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** The object's JSON, or undefined when there is none. */
export async function getJsonIfPresent<T>(store: Store, key: string): Promise<T | undefined> {
  try {
    return await getJson<T>(store, key);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** @throws InputError for a file, called `source` in words, that has another format, such as another version's. */
export function requireFormat(file: { format?: unknown }, expected: string, source: string, remedy = ''): void {
  const found = file?.format;
  if (found === expected) return;
  const then = remedy && `: ${remedy}`;
  throw new InputError(`${source} has the format ${JSON.stringify(found)}, "${expected}" was expected${then}.`);
}

/**
 * A record of one format, as docs/formats.md has them; undefined when there is none.
 *
 * @throws InputError when it is of another format, such as another version's.
 */
export async function getRecordIfPresent<T extends { format: string }>(
  store: Store,
  key: string,
  format: T['format'],
  remedy?: string,
): Promise<T | undefined> {
  const record = await getJsonIfPresent<T>(store, key);
  if (record) requireFormat(record, format, `${store.uri}/${key}`, remedy);
  return record;
}

/**
 * A record that an earlier step writes.
 *
 * @param undone what is not done where it is missing, for the message.
 * @throws RunError when it is missing, InputError when it is of another format.
 */
export async function getRecord<T extends { format: string }>(
  store: Store,
  key: string,
  format: T['format'],
  undone: string,
): Promise<T> {
  const record = await getRecordIfPresent<T>(store, key, format);
  if (!record) throw new RunError(`${store.uri}/${key} is missing: ${undone}; run the step again.`);
  return record;
}

/** Opens the store behind a URI: every module takes one of these, only entry points make them. */
export type StoreOpener = (uri: string) => Store;

/** Splits a file's URI or path into the store of its folder and its name. */
export function splitUri(uri: string): { folder: string; name: string } {
  const cut = uri.lastIndexOf('/');
  return cut < 0 ? { folder: '.', name: uri } : { folder: uri.slice(0, cut) || '/', name: uri.slice(cut + 1) };
}
