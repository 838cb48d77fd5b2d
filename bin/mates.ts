#!/usr/bin/env node
/** The command line. Each command loads its own code, so that `--help` and wrong usage answer at once. */
import { Command, CommanderError, Option } from 'commander';
import { SEQUENCE_LENGTH, SHARDS } from '../core/config/ranges.ts';
import { RUNTIMES } from '../core/config/runtimes.ts';
import { explainSystemError, MatesError } from '../core/errors.ts';
import packageJson from '../package.json' with { type: 'json' };
import { atLeastZero, collect, positive, share, someOf, wholeNumber, within } from './flags.ts';
import { SELECT_METHODS } from './own-checkpoint/flags-of-methods.ts';

// The SDK's releases are pinned; on Node 20 it would warn of those to come in front of every answer.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

function buildProgram(): Command {
  const program = new Command('mates')
    .description('Model-aware pretraining-data selection: probe, fit, score, select, pretrain, repeat.')
    .version(packageJson.version)
    .exitOverride()
    .showHelpAfterError('(--help lists the arguments and options)');

  program
    .command('run')
    .description('run the whole loop on this machine; the same command again resumes')
    .argument('<config>', 'configuration file, such as examples/quickstart.json')
    .option('--out <dir>', 'where corpora and runs are kept', 'out')
    .option('--run-id <id>', "the run's name (default: the configuration's name, else that of its file)")
    .option('--set <field=value>', 'change a field, such as pretrain.stages=2 (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .option('--json', 'print the summary as JSON on the last line')
    .action(async (config, options) => (await import('./commands/run.ts')).run(config, options));

  program
    .command('plan')
    .description('what a run would do and cost, or a table of what several would; runs nothing')
    .argument('<config...>', 'configuration files')
    .option('--set <field=value>', 'change a field (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .option('--markdown', 'print the table of costs in Markdown')
    .option('--json', 'print it as JSON')
    .action(async (configs, options) => (await import('./commands/plan.ts')).plan(configs, options));

  program
    .command('prepare')
    .description('make a corpus of jsonl(.gz/.zst), txt or Parquet files')
    .requiredOption('--input <glob...>', 'files or globs')
    .requiredOption('--tokenizer <file|train:N>', 'a tokenizer.json, or the vocabulary to train')
    .requiredOption('--sequence-length <n>', 'tokens in a row', within('--sequence-length', SEQUENCE_LENGTH))
    .requiredOption('--out <dir>', 'where the corpus is written')
    .option('--shards <n>', 'shards to deal the documents to', within('--shards', SHARDS), 32)
    .option('--seed <n>', 'seed of the dealing', wholeNumber('--seed', 0), 1)
    .option('--near-duplicates <keep|remove>', 'keep or remove near-duplicate documents', 'keep')
    .option('--text-field <name>', 'field of the text', 'text')
    .option('--domain-field <name>', 'field of the domain; without it the file is the domain', 'domain')
    .option('--id-field <name>', "field of the document's id; without it file:line", 'id')
    .option(
      '--exclude <file...>',
      'JSON lines of passages, such as reference files: documents identical to one of them are left out',
    )
    .option('--json', "print the corpus's index as JSON on the last line")
    .action(async (options) => (await import('./commands/prepare.ts')).prepare(options));

  program
    .command('select')
    .description('the best part of a prepared corpus for a checkpoint of your own; the same command again resumes')
    .requiredOption('--corpus <dir>', 'a corpus that mates prepare made with the tokenizer of the checkpoint')
    .requiredOption('--checkpoint <dir>', 'a GPT-NeoX Hugging Face directory')
    .requiredOption(
      '--reference <file>',
      'what the model should become good at: JSON lines of {"text"} or {"context", "continuation"}',
    )
    .requiredOption(
      '--out <file>',
      'Parquet of the selected rows, which mostly begin and end within a document: row, domain, utility, key',
    )
    .option('--fraction <share>', 'share of the rows to select', share('--fraction'), 0.2)
    .option(
      '--temperature <deviations>',
      'of the selection noise, in standard deviations of the score',
      positive('--temperature'),
      0.5,
    )
    .option('--passages <n>', 'reference passages that are used', wholeNumber('--passages', 2), 256)
    .addOption(
      new Option(
        '--target <which>',
        'tokens of a passage whose loss counts: all of them, or those of the continuation or the last word',
      )
        .choices(['passage', 'last-word'])
        .default('passage'),
    )
    .option('--labels <n>', 'rows whose influence is measured', wholeNumber('--labels', 20), 3000)
    .option('--learning-rate <rate>', 'learning rate of the lookahead steps', positive('--learning-rate'), 1e-4)
    .addOption(new Option('--method <method>', 'how rows are scored').choices(SELECT_METHODS).default('influence'))
    .addOption(
      new Option(
        '--features <names>',
        'what the influence model has beside n-grams: dsir, loss, hidden with commas between, or none; the last two cost a forward pass of every row',
      )
        .argParser(someOf('--features', ['dsir', 'loss', 'hidden']))
        .default(['dsir'], 'dsir'),
    )
    .option(
      '--classifier-weight <w>',
      "adds the quality classifier's z-score, times this weight, to that of the method's own score",
      atLeastZero('--classifier-weight'),
      0,
    )
    .addOption(runtimeOption())
    .option('--threads <n>', 'threads of the engine; 0 is one for each core', wholeNumber('--threads', 0), 0)
    .option('--seed <n>', 'seed of every draw', wholeNumber('--seed', 0), 1)
    .option('--text <file>', 'also write the rows as JSON lines of row, domain, utility, documents, text')
    .option(
      '--documents <file>',
      'also choose whole documents, as JSON lines of id, utility, tokens, selected: the best until they have the fraction of the tokens',
    )
    .option('--work <dir>', 'where the steps keep their files; another for other labels or scores', 'out/select')
    .option('--dry-run', 'only check the inputs, and print sizes and costs')
    .option('--json', 'print the result as JSON on the last line')
    .action(async (options, command) => (await import('./commands/select.ts')).select(options, given(command)));

  program
    .command('report')
    .description("write runs' HTML reports")
    .argument('<run...>', 'folders of runs, such as out/runs/quickstart')
    .option('--json', 'print the paths as JSON')
    .action(async (runs, options) => (await import('./commands/report.ts')).report(runs, options));

  program
    .command('compare')
    .description('several runs side by side: methods over seeds, paired differences, losses against cost')
    .argument('<run...>', 'folders of finished runs, each as FOLDER or LABEL=FOLDER')
    .option('--baseline <method>', 'what the others are compared with; by default random')
    .option('--out <dir>', 'where compare.html and compare.md are written')
    .option('--json', 'print the comparison as JSON on the last line')
    .action(async (runs, options) => (await import('./commands/compare.ts')).compare(runs, options));

  program
    .command('verify')
    .description('check every file of a run or corpus against its recorded hash, and the files against each other')
    .argument('<run>', "a run's or a corpus's folder, or its s3:// URI")
    .option('--inputs', 'check the files that a finished run has read too: texts, passages and tasks')
    .option('--json', 'print what was checked as JSON on the last line')
    .action(async (run, options) => (await import('./commands/verify.ts')).verify(run, options));

  program
    .command('replay')
    .description('make parts of a run again from its own files, beside it, and compare the bytes')
    .argument('<run>', "a run's folder, or its s3:// URI")
    .addOption(
      new Option('--from <step>', 'made again: the selections; the scores and from them the selections; or all of it')
        .choices(['selection', 'scores', 'start'])
        .default('selection'),
    )
    .option('--stage <n>', 'this stage alone', wholeNumber('--stage', 0))
    .option('--work <dir>', 'folder that keeps what is made; by default a temporary one, but --from start needs it')
    .option('--json', 'print the comparison of each file as JSON on the last line')
    .action(async (run, options) => (await import('./commands/replay.ts')).replay(run, options));

  program
    .command('evaluate')
    .description('zero-shot tasks and losses of a checkpoint; docs/evaluation.md has the layouts and conventions')
    .argument('<checkpoint>', 'a GPT-NeoX Hugging Face directory, such as mates export writes')
    .requiredOption('--task <file...>', 'JSONL files of multiple choice, LAMBADA or {"text"} lines')
    .option('--target <which>', 'measure losses alone, of every token (passage) or of the last word (last-word)')
    .option('--delimiter <text>', "between context and continuation, \\n for a line's end; by default the harness's")
    .option('--tokenizer <file>', "tokenizer.json; by default the checkpoint's")
    .option('--limit <n>', 'lines used of each file', wholeNumber('--limit', 1))
    .option(
      '--batch <rows>',
      'rows of one forward pass; by default as many as have 512 tokens, or 16,384 on a GPU',
      wholeNumber('--batch', 1),
    )
    .addOption(runtimeOption())
    .option('--threads <n>', 'threads of the engine; 0 is one for each core', wholeNumber('--threads', 0), 0)
    .option('--samples <file>', 'write the log-likelihood of every option as JSON lines')
    .option('--json', 'print the results as JSON on the last line')
    .action(async (checkpoint, options) => (await import('./commands/evaluate.ts')).evaluate(checkpoint, options));

  program
    .command('export')
    .description(
      "write a run's model as a Hugging Face directory: the one that training goes on from, whose losses are higher than " +
        'those of the report, which are measured after a decay of the learning rate',
    )
    .argument('<run>', 'folder of a run')
    .requiredOption('--out <dir>', 'where config.json, model.safetensors and tokenizer.json are written')
    .option('--stage <n>', 'which stage; by default the last that has a checkpoint', wholeNumber('--stage', 0))
    .option('--arm <arm>', 'main or control', 'main')
    .option('--json', 'print what was written as JSON')
    .action(async (run, options) => (await import('./commands/export.ts')).exportModel(run, options));

  deployed(
    program
      .command('start')
      .description('start an execution of the deployed machine; without a configuration the smoke run')
      .argument('[config]', 'configuration file without local paths, or s3://BUCKET/KEY of one'),
  )
    .option('--run-id <id>', "the run's folder in the lake; by default the execution's name")
    .option('--resume <run>', 'go on with this run, which was stopped or has failed')
    .option('--name <name>', "the execution's name; by default the run's and the time")
    .option('--set <field=value>', 'change a field (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .addOption(new Option('--trainer <where>', 'what runs the pretraining').choices(['batch', 'sagemaker']))
    .option('--dry-run', 'check, plan and price only')
    .option(
      '--max-cost-usd <dollars>',
      "stop before a stage that would bring the estimated cost above this; 'none' lifts a resumed run's",
    )
    .option('--watch', 'show its progress until it ends')
    .option('--json', 'print the execution, or with --watch its output, as JSON on the last line')
    .action(async (config, options) => (await import('./deployed/commands/start.ts')).start(config, options));

  deployed(
    program
      .command('watch')
      .description("show an execution's progress until it ends")
      .argument('<execution>', 'name or ARN of an execution'),
  )
    .option('--json', 'print its output as JSON on the last line')
    .action(async (execution, options) => (await import('./deployed/commands/watch.ts')).watch(execution, options));

  deployed(
    program
      .command('status')
      .description('one screen about an execution, or the last executions')
      .argument('[execution]', 'name or ARN of an execution'),
  )
    .option('--json', 'print it as JSON')
    .action(async (execution, options) => (await import('./deployed/commands/status.ts')).status(execution, options));

  deployed(
    program
      .command('stop')
      .description('end an execution and every job of its run')
      .argument('<execution>', 'name or ARN of an execution'),
  )
    .option('--timeout <seconds>', 'how long to wait for the jobs to end', wholeNumber('--timeout', 1), 300)
    .option('--json', 'print what was stopped as JSON on the last line')
    .action(async (execution, options) => (await import('./deployed/commands/stop.ts')).stop(execution, options));

  program
    .command('conformance')
    .description('check a command against the contract of the pretraining step, docs/trainer-contract.md')
    .requiredOption('--command <command>', 'the trainer, such as "python train.py"')
    .option(
      '--lake <uri>',
      'where the runs of the check are made, such as s3://bucket/check; by default a temporary folder',
    )
    .option('--timeout <seconds>', 'most that one run of the command may take', wholeNumber('--timeout', 1), 600)
    .option('--keep', 'keep the temporary folder')
    .option('--json', 'print the results as JSON on the last line')
    .action(async (options) => (await import('./commands/conformance.ts')).conformance(options));

  return program;
}

const runtimeOption = () =>
  new Option('--runtime <engine>', 'what computes; onnx-cuda is an NVIDIA GPU').choices(RUNTIMES).default('onnx');

/** Options that are on the command line, by the names of their values. */
const given = (command: Command) =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli');

/** The options by which a command finds the deployed machine. */
function deployed(command: Command): Command {
  return command
    .option('--stack <name>', 'stack of the pipeline', 'MatesPipeline')
    .addOption(
      new Option('--machine <arn>', "ARN of the machine or its alias, in place of the stack's").env(
        'MATES_MACHINE_ARN',
      ),
    );
}

// After `mates .. | head` what is printed is for nobody, and the work goes on.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
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
