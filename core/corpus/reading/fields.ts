import { InputError } from '../../errors.ts';
import type { Document, DocumentFields } from '../document.ts';
import { MIXED_DOMAIN } from '../packing/pack.ts';
import { baseName, type InputFile } from './input-file.ts';

/**
 * Makes a document of a record's fields. Domain and id may be missing or null; a text that is null is empty.
 *
 * @param unit what the file's documents are counted by.
 * @throws InputError that names the line, the field, and the fields that are there.
 */
export function toDocument(
  record: Record<string, unknown>,
  fields: DocumentFields,
  { uri, name }: InputFile,
  line: number,
  unit: 'line' | 'row' = 'line',
): Document {
  const at = `${uri}, ${unit} ${line}`;
  const text = fields.text in record ? (record[fields.text] ?? '') : undefined;
  if (typeof text !== 'string') {
    const found =
      fields.text in record
        ? `field "${fields.text}" is ${nameOf(text)}, expected a string`
        : `no field "${fields.text}"; the fields are ${Object.keys(record).join(', ') || 'none'}`;
    throw new InputError(`${at}: ${found}. Name the field that holds the text in corpus.textField.`);
  }
  return {
    id: label(record, fields.id, 'corpus.idField', at) ?? `${name}:${line}`,
    text,
    domain: ownDomain(label(record, fields.domain, 'corpus.domainField', at) ?? baseName(name), at),
    source: { uri, line },
  };
}

/** @throws InputError if the name is that of rows which belong to no domain. */
export function ownDomain(name: string, at: string): string {
  if (name !== MIXED_DOMAIN) return name;
  throw new InputError(
    `${at}: the domain "${MIXED_DOMAIN}" is that of rows which join documents of several domains: name it otherwise, ` +
      'in the field of corpus.domainField or, where that is missing, in the name of the file.',
  );
}

function label(record: Record<string, unknown>, field: string, option: string, at: string): string | undefined {
  const value = record[field];
  if (value === undefined || value === null || value === '' || Number.isNaN(value)) return undefined;
  if (typeof value === 'string') return value;
  // JSON's numbers beyond 2^53 are rounded when they are read: many documents would get the same id.
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new InputError(
      `${at}: field "${field}" is a whole number beyond 2^53, which JSON cannot hold exactly; write it as a string.`,
    );
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw new InputError(
    `${at}: field "${field}" is ${nameOf(value)}, expected a string; correct ${option} or the file.`,
  );
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'symbol') return 'bytes that are not UTF-8'; // read-parquet.ts
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
