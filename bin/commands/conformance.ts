import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pc from 'picocolors';
import { RunError } from '../../core/errors.ts';
import { counted } from '../../core/plural.ts';
import { printable } from '../../core/printable.ts';
import { storeOpener } from '../../core/storage/index.ts';
import { checkTrainer, countOf, shortcomings } from '../conformance/check-trainer.ts';
import { splitCommand } from '../conformance/command.ts';
import { stopSignal } from '../interrupt.ts';

interface Options {
  command: string;
  lake?: string;
  /** Seconds. */
  timeout: number;
  keep?: boolean;
  json?: boolean;
}

const COLOURS = { pass: pc.green, fail: pc.red, advice: pc.yellow, skipped: pc.dim };

/** `mates conformance --command "..."`: whether a command can replace the pretraining job. */
export async function conformance(options: Options): Promise<void> {
  const command = splitCommand(options.command);
  const folder = options.lake === undefined ? await mkdtemp(join(tmpdir(), 'mates-conformance-')) : undefined;
  const { signal, dispose } = stopSignal('Stopping: the trainer has been told to end, and has 30 seconds to do so.');
  try {
    const results = await checkTrainer({
      command,
      timeout: options.timeout,
      open: storeOpener(),
      lake: options.lake?.replace(/\/+$/, '') ?? folder!,
      environment: process.env,
      signal,
      onResult: ({ rule, status, detail }) =>
        console.log(`${COLOURS[status](status.padEnd(7))} ${rule}${detail ? `\n        ${printable(detail)}` : ''}`),
    });
    const [kept, advised] = [countOf(results, 'pass'), countOf(results, 'advice')];
    if (options.keep) console.log(`The runs are in ${options.lake ?? folder}.`);
    console.log(`${counted(kept, 'rule is', 'rules are')} kept${advised ? `, ${advised} could be better` : ''}.`);
    const failure = shortcomings(results);
    if (options.json) console.log(JSON.stringify({ conforms: failure === undefined, results }));
    if (failure) throw new RunError(failure);
  } finally {
    if (folder && !options.keep) await rm(folder, { recursive: true, force: true });
    dispose();
  }
}
