import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Appends a line to the file of its job, `<job>.log`. A log that cannot be written never stops a run. */
export function logFiles(directory: string): (job: string, line: string) => void {
  return (job, line) => {
    try {
      mkdirSync(directory, { recursive: true });
      appendFileSync(join(directory, `${job}.log`), `${line}\n`);
    } catch {
      // such as a full disk, which the run itself reports
    }
  };
}
