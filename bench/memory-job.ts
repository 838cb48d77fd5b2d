/**
 * `memory-job.ts PEAKS TASK`: runs the job TASK as `containers/main.ts` does, and adds its peak memory to the file
 * PEAKS.
 */
import { appendFileSync } from 'node:fs';
import { peakMegabytes } from './measure.ts';

const [peaks = ''] = process.argv.splice(2, 1);
process.on('exit', () => {
  appendFileSync(peaks, `${JSON.stringify({ task: process.argv[2], megabytes: peakMegabytes() })}\n`);
});
await import('../containers/main.ts');
