import { InputError } from '../../errors.ts';
import { isObject } from '../../objects.ts';
import type { Document, DocumentFields } from '../document.ts';
import { toDocument } from './fields.ts';
import type { InputFile } from './input-file.ts';
import { readContent } from './read-bytes.ts';
import { readLines } from './read-lines.ts';

/** Documents of JSON Lines: one object a line; blank lines are skipped. Throws InputError that names the line. */
export async function* readJsonl(
  file: InputFile,
  fields: DocumentFields,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Document, void, undefined> {
  for await (const { number, text } of readLines(readContent(file, onRead), file.uri)) {
    if (text.trim() === '') continue;
    yield toDocument(parseObject(text, file.uri, number), fields, file, number);
  }
}

/** One line's JSON object. */
export function parseObject(line: string, uri: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    const detail = (error as Error).message.replace(/[\s\p{Cc}]+/gu, ' ').slice(0, 160);
    throw new InputError(`${uri}, line ${number}: not valid JSON (${detail}); each line must be one JSON object.`);
  }
  if (!isObject(value)) {
    throw new InputError(
      `${uri}, line ${number}: expected a JSON object such as {"text": "..."}, found ${line.slice(0, 40).replace(/\p{Cc}/gu, ' ')}`,
    );
  }
  return value;
}
