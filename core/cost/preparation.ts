/** What preparing a corpus takes: room for its text on a disk, and time. */
import { rowTokens } from '../config/corpus-schema.ts';
import type { RunConfig } from '../config/schema.ts';
import { formatOf, type InputFile, type InputFormat } from '../corpus/reading/input-file.ts';
import type { CorpusIndex } from '../formats.ts';
import { estimateCost } from './estimate.ts';
import { TOKEN_BYTES } from './passages.ts';

/** Bytes of text for each byte of a compressed file: about what gzip makes of C4's lines. */
const PACKED_BYTES = 2.6;
const PLAIN: readonly InputFormat[] = ['.jsonl', '.txt'];

/** Temporary files also hold each document's id, its hash and some numbers: a twentieth more if documents have 2 kB. */
const SPOOLED_BYTES = 1.05;

/** Images and the system on the same disk, as the setting `rootVolumeGib` counts them. */
const OTHER_GIB = 50;

/**
 * Bytes of text a second that one thread reads and deals to shards, and that one vCPU packs. A core of an EPYC (Zen 4) reads
 * 25 MB from packed files and packs 9 (docs/performance.md); other processors are slower, and a vCPU is one of a core's two
 * threads.
 */
const READ_RATE = 20e6;
const PACK_RATE = 4e6;

/** Bytes of the text in input files, by their sizes alone. */
export function textBytes(files: readonly Pick<InputFile, 'bytes' | 'format'>[]): number {
  return files.reduce((sum, { bytes, format }) => sum + bytes * (PLAIN.includes(format) ? 1 : PACKED_BYTES), 0);
}

/** Bytes of the text that a corpus was prepared from. */
export function preparedBytes({ inputs }: CorpusIndex): number {
  return textBytes(inputs.map(({ uri, bytes }) => ({ bytes, format: formatOf(uri)! })));
}

/** Bytes of the least text that gives a run the rows that it must have. */
export function leastTextBytes(config: RunConfig): number {
  return estimateCost(config).rowsNeeded * rowTokens(config.corpus) * TOKEN_BYTES;
}

/** GiB that an instance's disk must have for a text to be prepared on it. */
export function diskGib(bytes: number): number {
  return Math.ceil((bytes * SPOOLED_BYTES) / 2 ** 30) + OTHER_GIB;
}

/**
 * Hours of reading, which each attempt repeats, in one thread, and of packing on `vcpus` vCPUs, of which each attempt
 * does a part.
 */
export function preparationHours(bytes: number, vcpus: number): { reading: number; packing: number } {
  return { reading: bytes / READ_RATE / 3600, packing: bytes / (PACK_RATE * vcpus) / 3600 };
}
