import { MatesError } from '../core/errors.ts';

/**
 * Runs a command that has flags instead of a configuration. If it is refused because of a configuration field, the
 * message names the flag that sets the field.
 *
 * @param flags the flag for each field's name; other words in messages may be replaced in the same way.
 */
export async function namingFlags<T>(flags: Record<string, string>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MatesError) error.message = inFlags(error.message, flags);
    throw error;
  }
}

/** The message with flags in place of fields. A file name that contains a field's name stays as it is. */
export function inFlags(message: string, flags: Record<string, string>): string {
  return Object.entries(flags).reduce((text, [field, flag]) => {
    const escaped = field.replaceAll(/[.()]/g, '\\$&');
    return text.replaceAll(new RegExp(`(?<![\\w./-])${escaped}(?!\\.?\\w|/)`, 'g'), flag);
  }, message);
}
