import { isAbsolute } from 'node:path';
import { isLocalPath, localPath } from '../storage/index.ts';
import type { TextsConfig } from './corpus-schema.ts';
import type { RunConfig } from './schema.ts';

/** A path resolved if it is relative. */
export function resolvePath(path: string, resolve: (relative: string) => string): string {
  return !isLocalPath(path) || path.includes('://') || isAbsolute(path) ? path : resolve(path);
}

/** The configuration with its relative paths resolved; absolute ones and URIs stay as they are. */
export function resolvePaths(config: RunConfig, resolve: (relative: string) => string): RunConfig {
  return withPaths(config, (path, field) => {
    const isGlob = field === 'corpus.input'; // which must be a path, not a file: URI
    return isGlob && path.startsWith('file:') ? localPath(path) : resolvePath(path, resolve);
  });
}

/** The configuration with every path changed. */
export function withPaths(config: RunConfig, change: (path: string, field: string) => string): RunConfig {
  const { corpus, reference, heldOut, model, influenceModel, evaluation } = config;
  const maybe = (path: string | undefined, field: string) => path && change(path, field);
  return {
    ...config,
    corpus:
      corpus.prepared !== undefined
        ? { prepared: change(corpus.prepared, 'corpus.prepared') }
        : {
            ...corpus,
            input: corpus.input.map((path) => change(path, 'corpus.input')),
            tokenizer: tokenizerWith(corpus.tokenizer, change),
          },
    reference: { ...reference, input: change(reference.input, 'reference.input') },
    heldOut: { ...heldOut, input: change(heldOut.input, 'heldOut.input') },
    model: { ...model, pretrained: maybe(model.pretrained, 'model.pretrained') },
    influenceModel: {
      ...influenceModel,
      pretrained: maybe(influenceModel.pretrained, 'influenceModel.pretrained'),
    },
    evaluation: {
      ...evaluation,
      tasks: evaluation.tasks.map((task) => ({ ...task, file: change(task.file, 'evaluation.tasks') })),
    },
  };
}

const tokenizerWith = (tokenizer: TextsConfig['tokenizer'], change: (path: string, field: string) => string) =>
  'file' in tokenizer ? { ...tokenizer, file: change(tokenizer.file, 'corpus.tokenizer.file') } : tokenizer;
