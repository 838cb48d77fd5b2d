/** Arguments and options of the commands for executions of the deployed machine. */
import { type Command, Option } from 'commander';
import { collect, wholeNumber } from '../flags.ts';

export function start(program: Command): void {
  deployed(
    program
      .command('start')
      .description('start an execution of the deployed machine: the smoke run if no configuration is given')
      .argument('[config]', 'configuration file without local paths, or s3://BUCKET/KEY of one'),
  )
    .option('--run-id <id>', "the run's folder in the lake; by default the execution's name")
    .option('--resume <run>', 'continue this run, which was stopped or has failed')
    .option('--name <name>', "the execution's name; by default the run's and the time")
    .option('--set <field=value>', 'change a field (repeatable)', collect)
    .option('--seed <n>', 'the same as --set seed=n')
    .addOption(new Option('--trainer <where>', 'what runs the pretraining').choices(['batch', 'sagemaker']))
    .option('--dry-run', 'check, plan and price only')
    .option(
      '--max-cost-usd <dollars>',
      "stop before a stage that would bring the estimated cost above this; 'none' lifts the cap of a resumed run",
    )
    .option('--watch', 'show its progress until it ends')
    .option('--json', 'print the execution, or with --watch its output, as JSON on the last line')
    .action(async (config, options) => (await import('../deployed/commands/start.ts')).start(config, options));
}

export function watch(program: Command): void {
  deployed(
    program
      .command('watch')
      .description("show an execution's progress until it ends")
      .argument('<execution>', 'name or ARN of an execution'),
  )
    .option('--json', 'print its output as JSON on the last line')
    .action(async (execution, options) => (await import('../deployed/commands/watch.ts')).watch(execution, options));
}

export function status(program: Command): void {
  deployed(
    program
      .command('status')
      .description('show where an execution stands, or list the last executions')
      .argument('[execution]', 'name or ARN of an execution'),
  )
    .option('--json', 'print it as JSON')
    .action(async (execution, options) => (await import('../deployed/commands/status.ts')).status(execution, options));
}

export function stop(program: Command): void {
  deployed(
    program
      .command('stop')
      .description('end an execution and every job of its run')
      .argument('<execution>', 'name or ARN of an execution'),
  )
    .option('--timeout <seconds>', 'how long to wait for the jobs to end', wholeNumber('--timeout', 1), 300)
    .option('--json', 'print what was stopped as JSON on the last line')
    .action(async (execution, options) => (await import('../deployed/commands/stop.ts')).stop(execution, options));
}

/** Adds the options that say which deployed machine a command is for. */
function deployed(command: Command): Command {
  return command
    .option('--stack <name>', 'stack of the pipeline', 'MatesPipeline')
    .addOption(
      new Option('--machine <arn>', "ARN of the machine or its alias, in place of the stack's").env(
        'MATES_MACHINE_ARN',
      ),
    );
}
