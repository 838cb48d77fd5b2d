/** How a job reports its progress: one JSON object per line on stdout, which any runner or log can follow. */
export interface Progress {
  /** What is going on, in the words of the state: `Pretrain (control)`. */
  step: string;
  done: number;
  total: number;
  /** What is counted: `steps`, `probes`, `documents`. */
  unit: string;
  /** The figure worth watching: `loss 5.31`. */
  note?: string;
}

export type ProgressReporter = (progress: Progress) => void;

/** A function that takes the bytes that were read since its last call, and reports them of `total` in a unit of fit size. */
export function progressInBytes(progress: ProgressReporter, step: string, total: number): (bytes: number) => void {
  const [unitBytes, unit] = total < 1e7 ? [1e3, 'kB'] : [1e6, 'MB'];
  let read = 0;
  return (bytes) => {
    read += bytes;
    progress({
      step,
      done: read < total ? Math.floor(read / unitBytes) : Math.ceil(total / unitBytes), // complete only at the very end
      total: Math.ceil(total / unitBytes),
      unit,
    });
  };
}

const PREFIX = '{"progress":';

/** Starts a line on a job's stderr that a user should read, although the job goes on. */
export const WARNING = 'Warning: ';

/** Writes at most about four lines a second, and always the first and the last of a step. */
export function progressToStdout(
  write: (line: string) => void = (line) => process.stdout.write(line),
): ProgressReporter {
  let last = 0;
  let step = '';
  return (progress) => {
    const now = Date.now();
    if (progress.step === step && progress.done < progress.total && now - last < 250) return;
    last = now;
    step = progress.step;
    write(`${JSON.stringify({ progress })}\n`);
  };
}

/** The progress in a line of a job's output, if it is one. */
export function parseProgress(line: string): Progress | undefined {
  if (!line.startsWith(PREFIX)) return undefined;
  try {
    return (JSON.parse(line) as { progress: Progress }).progress;
  } catch {
    return undefined;
  }
}
