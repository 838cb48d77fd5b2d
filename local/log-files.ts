import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Appends each line to its job's file, `<job>.log`. A log that cannot be written never stops a run. */
export function logFiles(directory: string): (job: string, line: string) => void {
  return (job, line) => {
    try {
      mkdirSync(directory, { recursive: true });
      appendFileSync(join(directory, `${job}.log`), `${line}\n`);
    } catch {
      // for example a full disk, which the run itself reports
    }
  };
}
