import { MatesError } from '../core/errors.ts';

/**
 * Runs a command that has flags and no configuration: where it is refused for a field of a configuration, the message names
 * the flag that sets it.
 *
 * @param flags by the fields' names; other words of messages may be changed in the same way.
 */
export async function namingFlags<T>(flags: Record<string, string>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MatesError) error.message = inFlags(error.message, flags);
    throw error;
  }
}

/** A message in the flags' names. A file's name that has a field's in it stays as it is. */
export function inFlags(message: string, flags: Record<string, string>): string {
  return Object.entries(flags).reduce((text, [field, flag]) => {
    const escaped = field.replaceAll(/[.()]/g, '\\$&');
    return text.replaceAll(new RegExp(`(?<![\\w./-])${escaped}(?!\\.?\\w|/)`, 'g'), flag);
  }, message);
}
