import { createHash } from 'node:crypto';

/** One document of the input, before tokenisation. */
export interface Document {
  /** The input's id field, else `file:line`. */
  id: string;
  text: string;
  /** The input's domain field, else the file's base name. */
  domain: string;
  source: { uri: string /** From 1; in Parquet, the row. */; line: number };
}

/** The input's fields that hold a document's parts. */
export interface DocumentFields {
  text: string;
  domain: string;
  id: string;
}

/**
 * The largest document (and line) that is read, in bytes. A document is held in memory several times over while it is
 * read, and in practice anything longer is a file whose line breaks were lost.
 */
export const DOCUMENT_BYTES = 10_000_000;

/** 128 bits of the sha256 of a text without the spaces at its ends. Documents with equal hashes count as the same. */
export function textHash(text: string): string {
  return textDigest(text).toString('hex');
}

/** {@link textHash} as 16 bytes. */
export function textDigest(text: string): Buffer {
  return createHash('sha256').update(text.trim()).digest().subarray(0, 16);
}
