import { InputError } from '../errors.ts';
import { readPieces } from './pieces.ts';
import { NotFoundError, type StoreOpener, splitUri } from './store.ts';

/**
 * The pieces of a file that a user has named.
 *
 * @param label what to call it in the message: its field or flag, and its name.
 * @param remedy what to name instead.
 * @throws InputError when it is not there.
 */
export async function* readInput(
  open: StoreOpener,
  uri: string,
  label: string,
  remedy: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { folder, name } = splitUri(uri);
  try {
    yield* readPieces(open(folder), name);
  } catch (error) {
    throw error instanceof NotFoundError ? await noSuchFile(open, uri, label, remedy) : error;
  }
}

/** What to say of a file that a user has named and that is not there. Parameters as of {@link readInput}. */
export async function noSuchFile(open: StoreOpener, uri: string, label: string, remedy: string): Promise<InputError> {
  const { folder, name } = splitUri(uri);
  const inside = await open(folder).list(`${name}/`);
  return new InputError(`${label}: ${inside.length > 0 ? 'this is a folder' : 'no such file'}; ${remedy}.`);
}
