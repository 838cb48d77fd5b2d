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
