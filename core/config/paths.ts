import { isAbsolute } from 'node:path';
import { isLocalPath, localPath } from '../storage/index.ts';
import type { RunConfig } from './schema.ts';

/** A path resolved if it is relative. */
export function resolvePath(path: string, resolve: (relative: string) => string): string {
  return !isLocalPath(path) || path.includes('://') || isAbsolute(path) ? path : resolve(path);
}

/** The configuration with its relative paths resolved; absolute ones and URIs stay as they are. */
export function resolvePaths(config: RunConfig, resolve: (relative: string) => string): RunConfig {
  const change = (path: string) => resolvePath(path, resolve);
  return withPaths(config, change, (path) => (path.startsWith('file:') ? localPath(path) : change(path))); // a glob must be a path, not a file: URI
}

/** The configuration with every path changed; the corpus's inputs may be changed by a function of their own. */
export function withPaths(
  config: RunConfig,
  change: (path: string) => string,
  changeInput: (path: string) => string = change,
): RunConfig {
  const { corpus, reference, heldOut, model, influenceModel, evaluation } = config;
  return {
    ...config,
    corpus: {
      ...corpus,
      input: corpus.input.map(changeInput),
      prepared: corpus.prepared && change(corpus.prepared),
      tokenizer:
        'file' in corpus.tokenizer ? { ...corpus.tokenizer, file: change(corpus.tokenizer.file) } : corpus.tokenizer,
    },
    reference: { ...reference, input: change(reference.input) },
    heldOut: { ...heldOut, input: change(heldOut.input) },
    model: { ...model, pretrained: model.pretrained && change(model.pretrained) },
    influenceModel: { ...influenceModel, pretrained: influenceModel.pretrained && change(influenceModel.pretrained) },
    evaluation: { ...evaluation, tasks: evaluation.tasks.map((task) => ({ ...task, file: change(task.file) })) },
  };
}
