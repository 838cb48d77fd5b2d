/** The reference file of `mates select`. */
import type { Corpus } from '../../core/corpus/corpus.ts';
import { loadPassages, type Passage, passageHashes } from '../../core/corpus/passages.ts';
import { readLines } from '../../core/corpus/reading/read-lines.ts';
import { counted, plural } from '../../core/plural.ts';
import { absolute, readInput, type StoreOpener } from '../../core/storage/index.ts';
import type { Options, Settings } from './settings.ts';

export interface Reference {
  /** The passages that are used, none longer than a row. */
  passages: Passage[];
  /** Passages in the file. */
  found: number;
  /** Used passages that were longer than a row and have lost their start. */
  cut: number;
  /** `textHash` of each passage that is used. */
  hashes: Set<string>;
}

/** @throws InputError that names the file, and the line that is not a passage. */
export async function readReference(
  open: StoreOpener,
  { reference }: Options,
  { passages: most, target }: Settings,
  corpus: Corpus,
): Promise<Reference> {
  const remedy = 'name JSON Lines of {"text"} or {"context", "continuation"}';
  const pieces = () => readInput(open, absolute(reference), `--reference ${reference}`, remedy);
  const tokenizer = await corpus.tokenizer();
  const passages = await loadPassages(pieces(), reference, most, target, tokenizer, corpus.index.sequenceLength);
  let found = 0;
  for await (const { text } of readLines(pieces(), reference)) if (text.trim() !== '') found++;
  return {
    passages,
    found,
    cut: passages.filter(({ dropped }) => dropped).length,
    hashes: await passageHashes(pieces(), reference, most),
  };
}

/** One line for people. */
export function referenceLine({ passages, found, cut }: Reference, name: string, sequenceLength: number): string {
  const used = passages.length;
  const shortened = cut > 0 ? `, ${cut} cut to ${plural(cut, 'its', 'their')} last ${sequenceLength} tokens` : '';
  const left = found > used ? `; --passages leaves out ${found - used}` : '';
  return `${name}: ${used} of ${counted(found, 'passage')}${shortened}${left}.`;
}
