import { DOCUMENT_BYTES, type Document } from '../document.ts';
import { ownDomain } from './fields.ts';
import { baseName, type InputFile } from './input-file.ts';
import { readContent } from './read-bytes.ts';
import { readLines, tooLong } from './read-lines.ts';

/** A text file is one document, or, beyond this size, several that end at blank lines. */
const PART_CHARACTERS = 100_000;

/** Documents of a text file: whole, or parts of some 100,000 characters, cut at blank lines. */
export async function* readText(
  file: InputFile,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Document, void, undefined> {
  const domain = ownDomain(baseName(file.name), file.uri);
  const part: string[] = [];
  let size = 0;
  let firstLine = 1;
  /** Where the paragraph that is being read starts in `part`, and its size. */
  let paragraphStart = 0;
  let paragraphSize = 0;

  const take = (lines: number): Document => {
    const text = part.splice(0, lines).join('\n');
    const source = { uri: file.uri, line: firstLine };
    firstLine += lines;
    return { id: `${file.name}:${source.line}`, text, domain, source };
  };

  for await (const { number, text } of readLines(readContent(file, onRead), file.uri)) {
    if (text.trim() === '') {
      paragraphStart = part.length + 1;
      paragraphSize = 0;
    }
    part.push(text);
    size += text.length + 1;
    if (text.trim() !== '') paragraphSize += text.length + 1;
    if (size > PART_CHARACTERS && paragraphStart > 0) {
      yield take(paragraphStart);
      size = paragraphSize;
      paragraphStart = 0;
    }
    if (size > DOCUMENT_BYTES) throw tooLong(file.uri, number);
  }
  if (part.length > 0) yield take(part.length);
}
