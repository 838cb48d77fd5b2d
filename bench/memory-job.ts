/**
 * `memory-job.ts PEAKS TASK`: runs the job TASK as `containers/main.ts` does, and adds its peak memory to the file
 * PEAKS.
 */
import { appendFileSync } from 'node:fs';

const [peaks = ''] = process.argv.splice(2, 1);
process.on('exit', () => {
  const megabytes = process.resourceUsage().maxRSS / 1024;
  appendFileSync(peaks, `${JSON.stringify({ task: process.argv[2], megabytes })}\n`);
});
await import('../containers/main.ts');
