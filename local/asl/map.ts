/** The Map state; https://states-language.net/spec.html#map-state. */
import { mapParallel } from '../../core/parallel.ts';
import { type Frame, History, type Visit } from './frame.ts';
import { get, isObject, parsePath } from './paths.ts';
import { checkSize, fill } from './payload.ts';
import { type Json, type MapState, StatesError } from './types.ts';

/** @returns the items' outputs in the items' order. */
export async function runMap(visit: Visit<MapState>, input: Json): Promise<Json> {
  const { name, state, frame } = visit;
  const distributed = state.ItemProcessor.ProcessorConfig.Mode === 'DISTRIBUTED';
  frame.history.add('MapStateStarted', ...(distributed ? ['MapRunStarted'] : []));
  const items = distributed ? await readItems(visit, input) : itemsAt(visit, input);

  const runItem = async (item: Json, index: number, signal: AbortSignal) => {
    const context = { ...frame.context, Map: { Item: { Value: item } } };
    const selected =
      state.ItemSelector === undefined ? item : fill(state.ItemSelector, { input, context }, `${name}.ItemSelector`);
    checkSize(selected, `Item ${index} of "${name}"`);
    const nested = { ...frame, context, signal, items: [...frame.items, index] };
    return (distributed ? runChild : runIteration)(visit, selected, nested);
  };
  const outputs = await mapParallel(items, state.MaxConcurrency, runItem, frame.signal);
  frame.history.add(...(distributed ? ['MapRunSucceeded'] : []), 'MapStateSucceeded');
  return outputs;
}

async function runIteration({ state }: Visit<MapState>, input: Json, nested: Frame): Promise<Json> {
  nested.history.add('MapIterationStarted');
  const output = await nested.run(state.ItemProcessor, input, nested);
  nested.history.add('MapIterationSucceeded');
  return output;
}

/**
 * Each item of a distributed Map is an execution of its own, with its own history and name, and without `$$.Map`. The
 * first failure fails the Map, because no failures are tolerated.
 */
async function runChild({ state, frame }: Visit<MapState>, input: Json, nested: Frame): Promise<Json> {
  const { Id, Name } = frame.context.Execution as { Id: string; Name: string };
  const index = nested.items.at(-1)!;
  const execution = { Id: `${Id}/${state.Label}:${index}`, Name: `${Name}-${state.Label}-${index}` };
  const history = new History();
  history.add('ExecutionStarted');
  try {
    const output = await frame.run(state.ItemProcessor, input, {
      ...nested,
      history,
      context: { Execution: execution },
    });
    history.add('ExecutionSucceeded');
    return output;
  } catch (error) {
    if (nested.signal.aborted || !(error instanceof StatesError)) throw error;
    throw new StatesError(
      'States.ExceedToleratedFailureThreshold',
      'The specified tolerated failure threshold was exceeded',
    );
  }
}

function itemsAt({ name, state, frame: { context } }: Visit<MapState>, input: Json): Json[] {
  const path = state.ItemsPath!;
  const items = get(parsePath(path, `${name}.ItemsPath`), { input, context }, 'ItemsPath');
  if (Array.isArray(items)) return items;
  throw new StatesError('States.Runtime', `Reference path "${path}" must point to array.`);
}

async function readItems({ name, state, frame }: Visit<MapState>, input: Json): Promise<Json[]> {
  const where = `${name}.ItemReader.Parameters`;
  const from = fill(state.ItemReader!.Parameters, { input, context: frame.context }, where);
  if (!isObject(from) || typeof from.Bucket !== 'string' || typeof from.Key !== 'string')
    throw new StatesError('States.ItemReaderFailed', `${where}: expected Bucket and Key.`);
  const items = await frame.environment.readJson(from.Bucket, from.Key);
  if (Array.isArray(items)) return items;
  throw new StatesError('States.ItemReaderFailed', `s3://${from.Bucket}/${from.Key} is not a JSON array.`);
}
