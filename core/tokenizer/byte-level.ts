/** The byte-level alphabet and word pattern of GPT-2, which every byte-level BPE since uses. */

/**
 * Splits text into words before byte pairs are merged. White space is Unicode's, as in the native Hugging Face library;
 * JavaScript's `\s` differs from it at U+0085 and U+FEFF.
 */
const PIECE =
  /'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The words of a text; joined they are the text. */
export function splitWords(text: string): string[] {
  return text.match(PIECE) ?? [];
}

/** GPT-2's printable stand-in for each byte: itself where it is printable, else U+0100 and on. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

const CHARACTER_BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

/** The bytes a token of the vocabulary stands for; undefined when it has a character that stands for no byte. */
export function tokenBytes(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length); // every stand-in is one UTF-16 unit
  for (let i = 0; i < token.length; i++) {
    const byte = CHARACTER_BYTES.get(token[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** Whether a byte occurs in UTF-8 at all; Pythia's vocabulary leaves out those that do not. */
function isInUtf8(byte: number): boolean {
  return byte !== 0xc0 && byte !== 0xc1 && byte < 0xf5;
}

/** Whether a byte-level vocabulary can spell any text. */
export function hasAllBytes(vocab: ReadonlyMap<string, number>): boolean {
  return BYTE_CHARACTERS.every((character, byte) => vocab.has(character) || !isInUtf8(byte));
}
