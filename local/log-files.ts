import { once } from 'node:events';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname, join } from 'node:path';

/** A file of lines for each job. A log that cannot be written never stops a run. */
export class LogFiles {
  private readonly directory: string;
  private readonly files = new Map<string, WriteStream>();

  constructor(directory: string) {
    this.directory = directory;
  }

  write(job: string, line: string): void {
    let file = this.files.get(job);
    if (!file) {
      const path = join(this.directory, `${job}.log`);
      try {
        mkdirSync(dirname(path), { recursive: true });
      } catch {
        // the stream reports it below
      }
      file = createWriteStream(path, { flags: 'a' });
      file.on('error', () => undefined);
      this.files.set(job, file);
    }
    file.write(`${line}\n`);
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.files.values()].map(async (file) => {
        if (file.destroyed) return;
        file.end();
        await once(file, 'close').catch(() => undefined);
      }),
    );
  }
}
