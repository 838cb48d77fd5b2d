import { MatesError } from '../core/errors.ts';

/**
 * Runs a command that has flags and no configuration: where it is refused for a field of a configuration, or warned about
 * one, the message names the flag that sets it.
 *
 * @param flags by the fields' names; other words of messages may be changed in the same way.
 */
export async function namingFlags<T>(flags: Record<string, string>, work: () => Promise<T>): Promise<T> {
  const { stderr } = process;
  const { write } = stderr;
  // Jobs write their warnings there, and know no flags.
  stderr.write = ((text: unknown, ...more: unknown[]) => {
    const isWarning = typeof text === 'string' && text.startsWith('Warning: ');
    return Reflect.apply(write, stderr, [isWarning ? inFlags(text, flags) : text, ...more]);
  }) as typeof write;
  try {
    return await work();
  } catch (error) {
    if (error instanceof MatesError) error.message = inFlags(error.message, flags);
    throw error;
  } finally {
    stderr.write = write;
  }
}

/** A message in the flags' names. A file's name that has a field's in it stays as it is. */
export function inFlags(message: string, flags: Record<string, string>): string {
  return Object.entries(flags).reduce((text, [field, flag]) => {
    const escaped = field.replaceAll(/[.()]/g, '\\$&');
    return text.replaceAll(new RegExp(`(?<![\\w./-])${escaped}(?!\\.?\\w|/)`, 'g'), flag);
  }, message);
}
