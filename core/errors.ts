import { printable } from './printable.ts';

/**
 * The kinds of failure a caller can act on. Each message names the file, line or field, says what was expected and
 * what to do; the command line prints the message alone, without a stack.
 */
export abstract class MatesError extends Error {
  /** Process exit code: 1 failed, 2 wrong usage or configuration, 75 interrupted (run the same command to resume). */
  abstract readonly exitCode: 1 | 2 | typeof INTERRUPTED;

  /** @param message it may quote a file, whose control characters are written out. */
  constructor(message: string) {
    super(printable(message));
  }
}

/** What was done is kept: the same command resumes, and Batch starts such a job again. */
export const INTERRUPTED = 75;

/** Wrong usage or configuration: the message names the field or flag. */
export class ConfigError extends MatesError {
  override name = 'ConfigError';
  readonly exitCode = 2;
}

/** An input file or corpus that cannot be used: the message names the file and, where there is one, the line. */
export class InputError extends MatesError {
  override name = 'InputError';
  readonly exitCode = 1;
}

/** A step that started well and could not finish: NaN loss, full disk, a job that failed. */
export class RunError extends MatesError {
  override name = 'RunError';
  readonly exitCode = 1;
}

/** The process was told to stop (SIGTERM, SIGINT, a spot interruption); what was done is kept. */
export class InterruptedError extends MatesError {
  override name = 'InterruptedError';
  readonly exitCode = INTERRUPTED;
}

/** A request to a service that failed, and may succeed when it is made again; it has been made several times. */
export class TransientError extends MatesError {
  override name = 'TransientError';
  readonly exitCode = 1;
}

/** @throws InterruptedError with the message if the signal is aborted. */
export function throwIfStopped(signal: AbortSignal | undefined, message: string): void {
  if (signal?.aborted) throw new InterruptedError(message);
}

const CLASSES = { ConfigError, InputError, RunError, InterruptedError, TransientError };

/**
 * The error that a name stands for, when its class was lost on the way from another thread, process or machine.
 *
 * @param otherwise the message when the name is not one of ours; the error is then a RunError. @default message
 */
export function errorNamed(name: string | undefined, message: string, otherwise = message): MatesError {
  const Named = Object.hasOwn(CLASSES, name ?? '') ? CLASSES[name as keyof typeof CLASSES] : undefined;
  return Named ? new Named(message) : new RunError(otherwise);
}

/** One sentence for a system error such as ENOSPC, with its remedy; undefined when it is not one we can explain. */
export function explainSystemError(error: unknown): string | undefined {
  const { code, path, syscall, name, message } = (error ?? {}) as NodeJS.ErrnoException;
  const where = path ? ` (${path})` : '';
  if (message === 'Region is missing')
    return 'No AWS region is set, which s3:// needs: set AWS_REGION, or a region in ~/.aws/config.';
  if (name === 'CredentialsProviderError')
    return 'No AWS credentials were found, which s3:// needs: run aws configure or aws sso login, or set AWS_PROFILE.';
  // On a read-only file system, Node says that the parent folder is not there.
  if (code === 'ENOENT' && (syscall === 'mkdir' || syscall === 'mkdtemp'))
    return `The folder cannot be made${where}: its file system may be read-only; choose another directory.`;
  switch (code) {
    case 'ENOSPC':
      return (
        `No space left on the disk${where}: free some space (a killed preparation may have left folders mates-prepare-* among the ` +
        'temporary files), or for a temporary file set TMPDIR to a larger disk, and give the same command again: it resumes. ' +
        'On AWS, deploy with a larger rootVolumeGib or with instance types that have disks of their own, and resume the run.'
      );
    case 'EDQUOT':
      return (
        `The disk quota is used up${where}: free some space or have it raised, or for a temporary file set TMPDIR to another disk, ` +
        'and give the same command again: it resumes.'
      );
    case 'ENAMETOOLONG':
      return `A name is too long for the file system${where}: choose shorter names of files, folders or runs.`;
    case 'ELOOP':
      return `Symbolic links lead in a circle${where}: correct the link, or name the file itself.`;
    case 'EACCES':
    case 'EPERM':
      return `Permission denied${where}: change its permissions, or choose another place.`;
    case 'EROFS':
      return `The file system is read-only${where}: choose another place.`;
    case 'EISDIR':
      return `There is a folder where a file is needed${where}: name another file, or move the folder.`;
    case 'ENOTDIR':
      return `There is a file where a folder is needed${where}: correct the path, or move the file.`;
    case 'EFBIG':
      return `A file becomes larger than it may be here${where}: raise the limit (ulimit -f), or choose another file system.`;
    case 'EIO':
      return `The disk reports an error${where}: check it, and give the same command again: it resumes.`;
    case 'ENFILE':
    case 'EMFILE':
      return `Too many open files${where}: raise the limit (ulimit -n) and give the same command again.`;
    default:
      return undefined;
  }
}
