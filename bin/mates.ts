#!/usr/bin/env node
/** The command line. Each command loads its own code, so that `--help` and wrong usage answer at once. */
import { Command, CommanderError } from 'commander';
import { explainSystemError, MatesError } from '../core/errors.ts';
import packageJson from '../package.json' with { type: 'json' };
import { storageErrorInWords } from './aws-errors.ts';
import { evaluate, exportModel, select } from './command-line/checkpoints.ts';
import { start, status, stop, watch } from './command-line/deployed.ts';
import { compare, conformance, plan, prepare, replay, report, run, verify } from './command-line/local.ts';

// The SDK is pinned; on Node 20 it would print a warning about its future releases before every answer.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// The AWS CLI knows the region by this name too, the SDK does not.
if (process.env.AWS_DEFAULT_REGION) process.env.AWS_REGION ??= process.env.AWS_DEFAULT_REGION;

/** In the order of the help. */
const COMMANDS = [
  ...[run, plan, prepare, select, report, compare, verify, replay, evaluate, exportModel],
  ...[start, watch, status, stop, conformance],
];

function buildProgram(): Command {
  const program = new Command('mates')
    .description('Model-aware pretraining-data selection: probe, fit, score, select, pretrain, repeat.')
    .version(packageJson.version)
    .exitOverride()
    .showHelpAfterError('(--help lists the arguments and options)');
  for (const add of COMMANDS) add(program);
  return program;
}

// After `mates .. | head` nobody reads the rest of the output; the work itself goes on.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    // What is printed is lost, but not the work; standard error may be on another disk.
    process.exitCode = 1;
    if (stream === process.stdout) process.stderr.write(`mates: the output cannot be written: ${error.message}\n`);
  });
try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  const explained = explainSystemError(error) ?? storageErrorInWords(error);
  if (error instanceof MatesError || explained) {
    process.stderr.write(`mates: ${explained ?? (error as Error).message}\n`);
    return error instanceof MatesError ? error.exitCode : 1;
  }
  console.error(error);
  return 1;
}
