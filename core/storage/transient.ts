/**
 * Whether a request that failed may succeed when it is made again: the network, a throttled caller, a service's own
 * fault. The end of an upload in parts is among them when its answer was lost: the SDK's second request finds no upload.
 */
export async function isTransient(error: unknown): Promise<boolean> {
  if (!(error instanceof Error)) return false;
  const failure = error as Error & { cause?: Error };
  const { isServerError, isThrottlingError, isTransientError } = await import('@smithy/core/retry');
  return (
    failure.name === 'NoSuchUpload' || isTransientError(failure) || isThrottlingError(failure) || isServerError(failure)
  );
}
