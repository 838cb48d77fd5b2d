import type { FileRecord, Manifest } from '../formats.ts';
import { sha256 } from '../hash.ts';
import { MANIFEST_FILE, REPORT_FILE, SUMMARY_FILE } from '../layout.ts';
import { putJson, splitUri } from '../storage/index.ts';
import { openRunCorpus, type Run } from './open-run.ts';

/** Files whose bytes tell of time or place rather than of the result. */
const NOT_REPEATABLE = [MANIFEST_FILE, SUMMARY_FILE, REPORT_FILE];
const NOT_REPEATABLE_FOLDER = /(^|\/)(timings|logs)\//;

/** Writes `manifest.json`: the configuration, seeds, versions, and the hash of every input and output. */
export async function writeManifest(run: Run): Promise<Manifest> {
  const corpus = await openRunCorpus(run);
  const { config } = run.record;
  const inputs: Manifest['inputs'] = corpus.index.inputs.map(({ uri, bytes, sha256 }) => ({ uri, bytes, sha256 }));
  const tasks = config.evaluation.tasks.map(({ file }) => file);
  for (const input of [config.reference.input, config.heldOut.input, ...tasks]) {
    const { folder, name } = splitUri(input);
    const bytes = await run.open(folder).get(name);
    inputs.push({ uri: input, bytes: bytes.length, sha256: sha256(bytes) });
  }
  const manifest: Manifest = { format: 'mates-manifest/1', run: run.record, inputs, outputs: await outputs(run) };
  await putJson(run.store, MANIFEST_FILE, manifest);
  return manifest;
}

async function outputs(run: Run): Promise<FileRecord[]> {
  const records: FileRecord[] = [];
  for (const key of await run.store.list('')) {
    if (NOT_REPEATABLE.includes(key) || NOT_REPEATABLE_FOLDER.test(key) || key.startsWith('.')) continue;
    const bytes = await run.store.get(key);
    records.push({ key, bytes: bytes.length, sha256: sha256(bytes) });
  }
  return records;
}
