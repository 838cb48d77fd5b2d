/** Arguments and options of the commands for runs and corpora on this machine. */
import { type Command, Option } from 'commander';
import { SEQUENCE_LENGTH, SHARDS } from '../../core/config/ranges.ts';
import { collect, wholeNumber, within } from '../flags.ts';

export function run(program: Command): void {
  program
    .command('run')
    .description('run the whole loop on this machine; the same command again resumes')
    .argument('<config>', 'configuration file, such as examples/quickstart.json')
    .option('--out <dir>', 'where corpora and runs are kept', 'out')
    .option('--run-id <id>', "the run's name (default: the configuration's name, else that of its file)")
    .option('--set <field=value>', 'change a field, such as pretrain.stages=2 (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .option('--trainer <command>', 'pretrain by a command that mates conformance accepts, such as "python train.py"')
    .option('--json', 'print the summary as JSON on the last line')
    .action(async (config, options) => (await import('../commands/run.ts')).run(config, options));
}

export function plan(program: Command): void {
  program
    .command('plan')
    .description('show what a run would do and cost, or a table of what several would cost; runs nothing')
    .argument('<config...>', 'configuration files')
    .option('--set <field=value>', 'change a field (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .addOption(new Option('--markdown', 'print the table of costs in Markdown').conflicts('json'))
    .option('--json', 'print it as JSON')
    .action(async (configs, options) => (await import('../commands/plan.ts')).plan(configs, options));
}

export function prepare(program: Command): void {
  program
    .command('prepare')
    .description('make a corpus from jsonl(.gz/.zst), txt or Parquet files')
    .requiredOption(
      '--input <glob...>',
      'files or globs; a .txt file is one document, cut at blank lines every 100,000 characters',
    )
    .requiredOption('--tokenizer <file|train:N>', 'a tokenizer.json, or train:N to train one with N tokens')
    .option(
      '--end-of-text <token>',
      "which of the tokenizer's added tokens ends a document; by default <|endoftext|> or another with a usual name",
    )
    .requiredOption('--sequence-length <n>', 'tokens in a row', within('--sequence-length', SEQUENCE_LENGTH))
    .requiredOption('--out <dir>', 'where the corpus is written')
    .option('--shards <n>', 'shards to deal the documents to', within('--shards', SHARDS), 32)
    .option('--seed <n>', 'seed of the dealing', wholeNumber('--seed', 0), 1)
    .addOption(
      new Option('--near-duplicates <what>', 'what becomes of near-duplicate documents')
        .choices(['keep', 'remove'])
        .default('keep'),
    )
    .option('--text-field <name>', 'field of the text', 'text')
    .option('--domain-field <name>', 'field of the domain; without it the file is the domain', 'domain')
    .option('--id-field <name>', "field of the document's id; without it file:line", 'id')
    .option(
      '--exclude <file...>',
      'JSON lines of passages, such as reference files: documents identical to one of them are left out',
    )
    .option('--json', "print the corpus's index as JSON on the last line")
    .action(async (options) => (await import('../commands/prepare.ts')).prepare(options));
}

export function report(program: Command): void {
  program
    .command('report')
    .description('write the HTML reports of runs')
    .argument('<run...>', 'folders of runs, such as out/runs/quickstart')
    .option('--json', 'print the paths as JSON')
    .action(async (runs, options) => (await import('../commands/report.ts')).report(runs, options));
}

export function compare(program: Command): void {
  program
    .command('compare')
    .description('compare several runs: methods over seeds, paired differences, losses against cost')
    .argument('<run...>', 'folders of finished runs, each as FOLDER or LABEL=FOLDER')
    .option('--baseline <method>', 'what the others are compared with; by default random')
    .option('--out <dir>', 'where compare.html and compare.md are written')
    .option('--json', 'print the comparison as JSON on the last line')
    .action(async (runs, options) => (await import('../commands/compare.ts')).compare(runs, options));
}

export function verify(program: Command): void {
  program
    .command('verify')
    .description('check every file of a run or corpus against its recorded hash, and the files against each other')
    .argument('<run>', "a run's or a corpus's folder, or its s3:// URI")
    .option('--inputs', 'also check the files that a finished run has read: texts, passages and tasks')
    .option('--json', 'print what was checked as JSON on the last line')
    .action(async (run, options) => (await import('../commands/verify.ts')).verify(run, options));
}

export function replay(program: Command): void {
  program
    .command('replay')
    .description('remake parts of a run from its own files, in another folder, and compare the bytes')
    .argument('<run>', "a run's folder, or its s3:// URI")
    .addOption(
      new Option(
        '--from <step>',
        'what to remake: the selections; the scores, and the selections from them; or all of it',
      )
        .choices(['selection', 'scores', 'start'])
        .default('selection'),
    )
    .option('--stage <n>', 'only this stage', wholeNumber('--stage', 0))
    .option('--work <dir>', 'folder for what is remade; by default a temporary one, but --from start needs one')
    .option('--json', 'print the comparison of each file as JSON on the last line')
    .action(async (run, options) => (await import('../commands/replay.ts')).replay(run, options));
}

export function conformance(program: Command): void {
  program
    .command('conformance')
    .description('check a command against the contract of the pretraining step, docs/trainer-contract.md')
    .requiredOption('--command <command>', 'the trainer, such as "python train.py"')
    .option(
      '--lake <uri>',
      'where the runs of the check are made, such as s3://bucket/check; by default a temporary folder',
    )
    .option('--timeout <seconds>', 'longest that one run of the command may take', wholeNumber('--timeout', 1), 600)
    .option('--keep', 'keep the temporary folder')
    .option('--json', 'print the results as JSON on the last line')
    .action(async (options) => (await import('../commands/conformance.ts')).conformance(options));
}
