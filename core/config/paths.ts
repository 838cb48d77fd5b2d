import { isAbsolute } from 'node:path';
import { isLocalPath, localPath } from '../storage/index.ts';
import type { RunConfig } from './schema.ts';

/** The configuration with its relative paths resolved; absolute ones and URIs stay as they are. */
export function resolvePaths(config: RunConfig, resolve: (relative: string) => string): RunConfig {
  const { corpus, reference, heldOut, influenceModel, evaluation } = config;
  const change = (path: string) =>
    !isLocalPath(path) || path.includes('://') || isAbsolute(path) ? path : resolve(path);
  return {
    ...config,
    corpus: {
      ...corpus,
      input: corpus.input.map((path) => (path.startsWith('file:') ? localPath(path) : change(path))), // a glob is none of a URI
      prepared: corpus.prepared && change(corpus.prepared),
      tokenizer: 'file' in corpus.tokenizer ? { file: change(corpus.tokenizer.file) } : corpus.tokenizer,
    },
    reference: { ...reference, input: change(reference.input) },
    heldOut: { ...heldOut, input: change(heldOut.input) },
    influenceModel: { ...influenceModel, pretrained: influenceModel.pretrained && change(influenceModel.pretrained) },
    evaluation: { ...evaluation, tasks: evaluation.tasks.map((task) => ({ ...task, file: change(task.file) })) },
  };
}
