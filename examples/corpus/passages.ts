/** Chooses the reference and held-out passages so that neither shares a run of words with the corpus or the other. */
import type { Novel } from './sources.ts';
import { CORPUS_STREAM, Draws, sentences, wordRuns, words } from './text.ts';

const PASSAGES = 128;
const MIN_WORDS = 60;
const MAX_WORDS = 110;
/** Texts that share this many words in a row are taken to overlap. */
export const OVERLAP_WORDS = 12;

/** Passages of whole sentences, MIN_WORDS to MAX_WORDS words each, one after the other through every chapter. */
export function passagesOf(novel: Novel): string[] {
  const passages: string[] = [];
  for (const chapter of novel.chapters) {
    let text = '';
    for (const paragraph of chapter) {
      for (const [i, sentence] of sentences(paragraph).entries()) {
        text += `${text && (i === 0 ? '\n\n' : ' ')}${sentence}`;
        const count = words(text).length;
        if (count >= MIN_WORDS && count <= MAX_WORDS) passages.push(text);
        if (count >= MIN_WORDS) text = '';
      }
    }
  }
  return passages;
}

/** 128 passages of each novel, in the novel's order. */
export function choosePassages(
  corpus: readonly string[],
  reference: Novel,
  heldOut: Novel,
): { reference: string[]; heldOut: string[] } {
  const candidates = [reference, heldOut].map(passagesOf);
  const runs = new Set(candidates.flat().flatMap((passage) => [...wordRuns(passage, OVERLAP_WORDS)]));
  const taken = new Set<string>();
  for (const text of corpus) {
    for (const run of wordRuns(text, OVERLAP_WORDS)) if (runs.has(run)) taken.add(run);
  }
  const draws = new Draws(CORPUS_STREAM.passages);
  const [first, second] = candidates.map((passages) => {
    const chosen = new Set<string>();
    for (const passage of draws.shuffle(passages)) {
      if (chosen.size === PASSAGES) break;
      const own = [...wordRuns(passage, OVERLAP_WORDS)];
      if (own.some((run) => taken.has(run))) continue;
      own.forEach((run) => {
        taken.add(run);
      });
      chosen.add(passage);
    }
    return passages.filter((passage) => chosen.has(passage));
  });
  return { reference: first!, heldOut: second! };
}
