#!/usr/bin/env node
/** The command line. Each command loads its own code, so that `--help` and wrong usage answer at once. */
import { Command, CommanderError } from 'commander';
import { explainSystemError, MatesError } from '../core/errors.ts';
import packageJson from '../package.json' with { type: 'json' };

const collect = (value: string, before: string[] = []) => [...before, value];

function buildProgram(): Command {
  const program = new Command('mates')
    .description('Model-aware pretraining-data selection: probe, fit, score, select, pretrain, repeat.')
    .version(packageJson.version)
    .exitOverride()
    .showHelpAfterError();

  program
    .command('run')
    .description('run the whole loop on this machine; the same command again resumes')
    .argument('<config>', 'configuration file, such as examples/quickstart.json')
    .option('--out <dir>', 'where corpora and runs are kept', 'out')
    .option('--run-id <id>', "the run's name; by default the configuration's")
    .option('--set <field=value>', 'change a field, such as pretrain.stages=2 (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .option('--json', 'print the summary as JSON on the last line')
    .action(async (config, options) => (await import('./commands/run.ts')).run(config, options));

  program
    .command('plan')
    .description('what a run would do and cost; runs nothing')
    .argument('<config>', 'configuration file')
    .option('--set <field=value>', 'change a field (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .option('--json', 'print it as JSON')
    .action(async (config, options) => (await import('./commands/plan.ts')).plan(config, options));

  program
    .command('prepare')
    .description('make a corpus of jsonl(.gz/.zst), txt or Parquet files')
    .requiredOption('--input <glob...>', 'files or globs')
    .requiredOption('--tokenizer <file|train:N>', 'a tokenizer.json, or the vocabulary to train')
    .requiredOption('--sequence-length <n>', 'tokens in a row')
    .requiredOption('--out <dir>', 'where the corpus is written')
    .option('--shards <n>', 'shards to deal the documents to', '32')
    .option('--seed <n>', 'seed of the dealing', '1')
    .option('--json', "print the corpus's index as JSON on the last line")
    .action(async (options) => (await import('./commands/prepare.ts')).prepare(options));

  program
    .command('report')
    .description("write a run's HTML report")
    .argument('<run>', 'folder of a run, such as out/runs/quickstart')
    .option('--json', 'print the path as JSON')
    .action(async (run, options) => (await import('./commands/report.ts')).report(run, options));

  program
    .command('evaluate')
    .description('losses of a checkpoint on JSONL files of {"text"} or {"context", "continuation"}')
    .argument('<checkpoint>', 'a GPT-NeoX Hugging Face directory, such as mates export writes')
    .requiredOption('--task <file...>', 'JSONL files')
    .option('--target <which>', 'passage (all tokens count) or last-word', 'passage')
    .option('--tokenizer <file>', "tokenizer.json; by default the checkpoint's")
    .option('--limit <n>', 'lines used of each file')
    .option('--json', 'print the losses as JSON on the last line')
    .action(async (checkpoint, options) => (await import('./commands/evaluate.ts')).evaluate(checkpoint, options));

  program
    .command('export')
    .description("write a run's model as a Hugging Face directory")
    .argument('<run>', 'folder of a run')
    .requiredOption('--out <dir>', 'where config.json, model.safetensors and tokenizer.json are written')
    .option('--stage <n>', 'which stage; by default the last that has a checkpoint')
    .option('--arm <arm>', 'main or control', 'main')
    .option('--json', 'print what was written as JSON')
    .action(async (run, options) => (await import('./commands/export.ts')).exportModel(run, options));

  return program;
}

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  const explained = explainSystemError(error);
  if (error instanceof MatesError || explained) {
    process.stderr.write(`mates: ${explained ?? (error as Error).message}\n`);
    return error instanceof MatesError ? error.exitCode : 1;
  }
  console.error(error);
  return 1;
}
