import { InputError } from '../errors.ts';
import { readPieces } from './pieces.ts';
import { NotFoundError, type StoreOpener, splitUri } from './store.ts';

/**
 * The pieces of a file that a user has named.
 *
 * @throws InputError with the message, when it is not there.
 */
export async function* readInput(
  open: StoreOpener,
  uri: string,
  missing: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { folder, name } = splitUri(uri);
  try {
    yield* readPieces(open(folder), name);
  } catch (error) {
    throw error instanceof NotFoundError ? new InputError(missing) : error;
  }
}
