import { InputError, MatesError } from '../errors.ts';

/**
 * S3's answers when a bucket is not there or not ours, in words; to a HEAD request it answers with the status alone.
 */
const UNREACHABLE: Record<string, string> = {
  NoSuchBucket: 'there is no such bucket; correct the URI',
  AccessDenied: "access is denied; add the bucket to the deployment's inputBuckets (-c inputBuckets=NAME)",
  PermanentRedirect: "the bucket is in another region; use one in the pipeline's region",
  InvalidBucketName: 'this is not a valid bucket name; correct the URI',
};
const BY_STATUS: Record<number, string> = { 403: 'AccessDenied', 301: 'PermanentRedirect' };

/** What a table has for an error of S3, by its name or else by what its status stands for. */
export function forS3Error<T>(table: Readonly<Record<string, T>>, error: unknown): T | undefined {
  const { name, $metadata } = (error ?? {}) as { name?: string; $metadata?: { httpStatusCode?: number } };
  return table[name ?? ''] ?? table[BY_STATUS[$metadata?.httpStatusCode ?? 0] ?? ''];
}

/**
 * What a look into storage finds.
 *
 * @param what was looked for, to name in messages.
 * @throws InputError when its bucket is not there or not ours.
 */
export async function reachable<T>(what: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof MatesError) throw error;
    const why = forS3Error(UNREACHABLE, error);
    if (!why) throw error;
    throw new InputError(`${what}: ${why}.`);
  }
}
