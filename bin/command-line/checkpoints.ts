/** Arguments and options of the commands for checkpoints, of one's own or of a run. */
import { type Command, Option } from 'commander';
import { RUNTIMES } from '../../core/config/runtimes.ts';
import { FEATURES } from '../../core/selection/methods.ts';
import { atLeastZero, positive, share, someOf, temperature, wholeNumber } from '../flags.ts';
import { SELECT_METHODS } from '../own-checkpoint/flags-of-methods.ts';

export function select(program: Command): void {
  program
    .command('select')
    .description('select the best part of a prepared corpus for your own checkpoint; the same command again resumes')
    .requiredOption('--corpus <dir>', 'a corpus that mates prepare made with the tokenizer of the checkpoint')
    .requiredOption('--checkpoint <dir>', 'a Hugging Face directory of a GPT-NeoX, Llama, Mistral, Qwen2 or Qwen3')
    .requiredOption(
      '--reference <file>',
      'what the model should become good at: JSON lines of {"text"} or {"context", "continuation"}',
    )
    .requiredOption(
      '--out <file>',
      'Parquet file of the selected rows (row, domain, utility, key); most begin and end within a document',
    )
    .option('--fraction <share>', 'share of the rows to select', share('--fraction'), 0.2)
    .option(
      '--temperature <deviations>',
      'temperature of the selection noise, in standard deviations of the score',
      temperature('--temperature'),
      0.5,
    )
    .option('--passages <n>', 'reference passages to use', wholeNumber('--passages', 2), 256)
    .addOption(
      new Option(
        '--target <which>',
        'tokens of a passage whose loss counts: all, or only those of the continuation or of the last word',
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
        'features of the influence model besides n-grams: dsir, loss and hidden, separated by commas, or none; loss and hidden cost a forward pass of every row',
      )
        .argParser(someOf('--features', FEATURES))
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
      'also select whole documents, the best up to the same fraction of the tokens: JSON lines of id, utility, tokens, selected',
    )
    .option(
      '--work <dir>',
      'where the steps keep their files; other labels or scores need another folder',
      'out/select',
    )
    .option('--dry-run', 'only check the inputs, and print sizes and costs')
    .option('--json', 'print the result as JSON on the last line')
    .action(async (options, command) => (await import('../commands/select.ts')).select(options, given(command)));
}

export function evaluate(program: Command): void {
  program
    .command('evaluate')
    .description('measure zero-shot tasks and losses of a checkpoint; docs/evaluation.md has layouts and conventions')
    .argument(
      '<checkpoint>',
      'a Hugging Face directory of a GPT-NeoX, Llama, Mistral, Qwen2 or Qwen3, such as mates export writes',
    )
    .requiredOption('--task <file...>', 'JSONL files of multiple choice, LAMBADA or {"text"} lines')
    .addOption(
      new Option(
        '--target <which>',
        'measure only losses, of every token (passage) or of the last word (last-word)',
      ).choices(['passage', 'last-word']),
    )
    .option('--delimiter <text>', "text between context and continuation, \\n for a newline; by default the harness's")
    .option('--tokenizer <file>', "tokenizer.json; by default the checkpoint's")
    .option('--limit <n>', 'how many lines of each file to use', wholeNumber('--limit', 1))
    .option(
      '--batch <rows>',
      'rows in one forward pass; by default as many as make 512 tokens, or 16,384 on a GPU',
      wholeNumber('--batch', 1),
    )
    .addOption(runtimeOption())
    .option('--threads <n>', 'threads of the engine; 0 is one for each core', wholeNumber('--threads', 0), 0)
    .option('--samples <file>', 'write the log-likelihood of every option as JSON lines')
    .option('--json', 'print the results as JSON on the last line')
    .action(async (checkpoint, options) => (await import('../commands/evaluate.ts')).evaluate(checkpoint, options));
}

export function exportModel(program: Command): void {
  program
    .command('export')
    .description(
      "write a run's model as a Hugging Face directory: the one that training continues from, or with --decayed the " +
        'one whose losses are in the report, which are measured after a decay of the learning rate',
    )
    .argument('<run>', 'folder of a run')
    .requiredOption(
      '--out <dir>',
      'where config.json, model.safetensors, tokenizer.json and tokenizer_config.json are written',
    )
    .option('--stage <n>', 'which stage; by default the last that has a checkpoint', wholeNumber('--stage', 0))
    .addOption(new Option('--arm <arm>', 'which arm').choices(['main', 'control']).default('main'))
    .option('--decayed', "train the stage's decay branch once more, and write the model at its end")
    .option('--json', 'print what was written as JSON')
    .action(async (run, options) => (await import('../commands/export.ts')).exportModel(run, options));
}

const runtimeOption = () =>
  new Option('--runtime <engine>', 'compute engine; onnx-cuda uses an NVIDIA GPU').choices(RUNTIMES).default('onnx');

/** Names of the options that were given on the command line. */
const given = (command: Command) =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli');
