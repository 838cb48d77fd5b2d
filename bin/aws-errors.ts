import { forS3Error } from '../core/storage/reachable.ts';

/** What the SDK's errors mean to someone at a terminal, by name. */
const BY_NAME: Record<string, string> = {
  CredentialsProviderError: 'no AWS credentials were found: sign in (aws sso login) or set AWS_PROFILE',
  ExpiredTokenException: 'the AWS credentials have expired: sign in again',
  ExpiredToken: 'the AWS credentials have expired: sign in again',
  UnrecognizedClientException: 'AWS does not know these credentials: check AWS_PROFILE',
  StateMachineDoesNotExist: 'there is no such state machine: check --machine and the region (AWS_REGION)',
  ExecutionDoesNotExist: 'there is no such execution: mates status lists those that are there',
};

const OF_STORAGE: Record<string, string> = {
  ...BY_NAME,
  InvalidAccessKeyId: 'AWS does not know these credentials: check AWS_PROFILE',
  NoSuchBucket: 'there is no such bucket: correct the URI',
  AccessDenied: 'access is denied: check AWS_PROFILE, and what it may read and write in the bucket',
  PermanentRedirect: 'the bucket is in another region: set AWS_REGION to it',
};

/** Errors, by code, of calls that do not reach AWS; the configuration may still be right. */
const UNREACHABLE: Record<string, string> = {
  ECONNREFUSED: 'nothing answers there: check AWS_ENDPOINT_URL',
  ENOTFOUND: 'the address cannot be found: check the network, AWS_REGION and AWS_ENDPOINT_URL',
  EAI_AGAIN: 'the address cannot be looked up: check the network',
  ETIMEDOUT: 'nothing answers in time: check the network and AWS_ENDPOINT_URL',
};

/** An error of a service's API as a clause without a full stop, and whether it was reached; undefined if unknown. */
export function awsErrorInWords({
  name,
  code,
}: NodeJS.ErrnoException): { words: string; reached: boolean } | undefined {
  const words = BY_NAME[name] ?? UNREACHABLE[code ?? ''];
  return words === undefined ? undefined : { words, reached: name in BY_NAME };
}

/** The same for an error of S3, as a sentence. */
export function storageErrorInWords(error: unknown): string | undefined {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const words = forS3Error(OF_STORAGE, error) ?? UNREACHABLE[code ?? ''];
  return words && `Storage cannot be reached: ${words}.`;
}
