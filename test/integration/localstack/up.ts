/**
 * Brings the emulator up and keeps it up until Ctrl+C: `npm run test:integration:up -- [PORT]`.
 * The lines that it prints make another shell, or the tests, use it.
 */
import { once } from 'node:events';
import { startEmulator } from './emulator.ts';

const port = Number(process.argv[2] ?? 4566);
const emulator = await startEmulator({ port, logs: 'out/integration' });
for (const [name, value] of Object.entries({
  ...emulator.environment,
  MATES_JOB_RUNNER_URL: emulator.jobRunnerUrl,
  MATES_CALLS_FILE: emulator.callsFile,
}))
  console.log(`export ${name}=${value}`);
console.log('# LocalStack is ready. Ctrl+C ends it; its log is out/integration/localstack.log.');
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await emulator.stop();
process.exit(0);
