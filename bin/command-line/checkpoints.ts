/** Arguments and options of the commands for checkpoints, of one's own or of a run. */
import { type Command, Option } from 'commander';
import { RUNTIMES } from '../../core/config/runtimes.ts';
import { atLeastZero, positive, share, someOf, wholeNumber } from '../flags.ts';
import { SELECT_METHODS } from '../own-checkpoint/flags-of-methods.ts';

export function select(program: Command): void {
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
    .action(async (options, command) => (await import('../commands/select.ts')).select(options, given(command)));
}

export function evaluate(program: Command): void {
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
    .action(async (checkpoint, options) => (await import('../commands/evaluate.ts')).evaluate(checkpoint, options));
}

export function exportModel(program: Command): void {
  program
    .command('export')
    .description(
      "write a run's model as a Hugging Face directory: the one that training goes on from, or with --decayed the one whose " +
        'losses the report has, which are measured after a decay of the learning rate',
    )
    .argument('<run>', 'folder of a run')
    .requiredOption('--out <dir>', 'where config.json, model.safetensors and tokenizer.json are written')
    .option('--stage <n>', 'which stage; by default the last that has a checkpoint', wholeNumber('--stage', 0))
    .option('--arm <arm>', 'main or control', 'main')
    .option('--decayed', "train the stage's decay branch once more, and write the model at its end")
    .option('--json', 'print what was written as JSON')
    .action(async (run, options) => (await import('../commands/export.ts')).exportModel(run, options));
}

const runtimeOption = () =>
  new Option('--runtime <engine>', 'what computes; onnx-cuda is an NVIDIA GPU').choices(RUNTIMES).default('onnx');

/** Options that are on the command line, by the names of their values. */
const given = (command: Command) =>
  Object.keys(command.opts()).filter((name) => command.getOptionValueSource(name) === 'cli');
