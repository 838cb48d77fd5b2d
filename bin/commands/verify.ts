import { openCorpus } from '../../core/corpus/corpus.ts';
import { ConfigError, InputError } from '../../core/errors.ts';
import { armLayout, CORPUS_FILE, RUN_FILE, SELECT_FILE } from '../../core/layout.ts';
import { plural } from '../../core/plural.ts';
import { printable } from '../../core/printable.ts';
import type { ProgressReporter } from '../../core/progress.ts';
import { openRun } from '../../core/run/open-run.ts';
import { type Verified, verifyCorpus, verifyRun } from '../../core/run/verify.ts';
import { absolute, type StoreOpener, storeOpener } from '../../core/storage/index.ts';
import { formatCount } from '../format.ts';
import { STAGE } from '../own-checkpoint/plan.ts';
import { withProgress } from '../with-progress.ts';

interface Options {
  inputs?: boolean;
  json?: boolean;
}

/** `mates verify RUN`: checks every file against its recorded hash, and what the files say against each other. */
export async function verify(path: string, options: Options): Promise<void> {
  const found = await withProgress((view, signal) => {
    const progress: ProgressReporter = (at) => view.update('verify', at);
    return verifyAt(absolute(path), storeOpener(), { inputs: options.inputs, signal, progress });
  }, 'Stopping: nothing is changed.');
  console.log(`${path}: ${describe(found)}`);
  if (found.unnamed.length > 0)
    console.log(
      `  ${found.unnamed.length} more ${plural(found.unnamed.length, 'file is', 'files are')} there that the manifest does not list: ${some(found.unnamed)}.`,
    );
  if (options.json) console.log(JSON.stringify({ path: absolute(path), ...found }));
}

interface Found extends Omit<Verified, 'kind'> {
  kind: Verified['kind'] | 'selection';
}

async function verifyAt(uri: string, open: StoreOpener, options: Parameters<typeof verifyRun>[1]): Promise<Found> {
  const store = open(uri);
  if ((await store.size(SELECT_FILE)) !== undefined) {
    if (options?.inputs)
      throw new ConfigError(
        `--inputs: ${uri} is the folder of a selection: repeat the command that made it, which is refused if the checkpoint, the ` +
          'reference file or the corpus has changed, and verify the corpus by itself.',
      );
    const finished = (await store.size(armLayout(STAGE, 'main').selectionSummary)) !== undefined;
    return { ...(await verifyRun(await openRun(open, uri))), kind: 'selection', finished };
  }
  if ((await store.size(RUN_FILE)) !== undefined) return verifyRun(await openRun(open, uri), options);
  if ((await store.size(CORPUS_FILE)) !== undefined) {
    if (options?.inputs)
      throw new ConfigError(
        `--inputs: ${uri} is a corpus, whose ${CORPUS_FILE} has the hashes of its inputs but not their folder: repeat the command ` +
          'that prepared it, which changes nothing and is refused if an input has changed.',
      );
    return verifyCorpus(await openCorpus(store), options);
  }
  throw new InputError(
    `${uri}: neither a run (no ${RUN_FILE}) nor a corpus (no ${CORPUS_FILE}); name the folder of one, such as out/runs/quickstart.`,
  );
}

function describe({ kind, finished, files, bytes, stages }: Found): string {
  const checked = `${formatCount(files)} ${plural(files, 'file')}, ${formatCount(bytes)} bytes`;
  if (kind === 'corpus') return `a corpus; ${checked} have the hashes of ${CORPUS_FILE}.`;
  if (kind === 'selection')
    return `a selection${finished ? '' : ' that has not finished'}; ${checked} have the hashes that were recorded when they were written.`;
  if (!finished)
    return `a run that has not finished; ${checked} have the hashes that were recorded when they were written. The other files have none yet.`;
  return `a finished run; ${checked} have the hashes of the manifest, and ${stages === 1 ? 'its one stage is' : `its ${stages} stages are`} consistent.`;
}

const some = (keys: string[]) => printable(keys.length > 5 ? `${keys.slice(0, 5).join(', ')}, ...` : keys.join(', '));
