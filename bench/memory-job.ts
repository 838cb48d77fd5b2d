/** `memory-job.ts PEAKS TASK`: the job TASK as `containers/main.ts` runs it; its peak memory is added to the file PEAKS. */
import { appendFileSync } from 'node:fs';

const [peaks = ''] = process.argv.splice(2, 1);
process.on('exit', () => {
  const megabytes = process.resourceUsage().maxRSS / 1024;
  appendFileSync(peaks, `${JSON.stringify({ task: process.argv[2], megabytes })}\n`);
});
await import('../containers/main.ts');
