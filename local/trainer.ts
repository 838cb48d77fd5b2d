/**
 * Runs a trainer of the user's own as a job of this machine: `node trainer.ts COMMAND ARGUMENT..`. It passes on SIGTERM and the
 * trainer's end and, unlike the trainer, notices when the process that started it has died: a trainer that outlived it
 * would write to the same files as the next attempt's.
 */
import { spawn } from 'node:child_process';

const [file, ...rest] = process.argv.slice(2);
const trainer = spawn(file!, rest, { stdio: ['ignore', 'inherit', 'inherit'] });
process.on('SIGTERM', () => trainer.kill('SIGTERM'));
// This process leads the group that the trainer's own processes are in, too.
process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
trainer.once('error', (error) => {
  console.error(`ConfigError: the trainer ${file} cannot be started: ${error.message}`);
  process.exit(1);
});
trainer.once('exit', (code, signal) => {
  if (signal === null) process.exit(code!);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
