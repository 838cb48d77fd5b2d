/**
 * Gradient accumulation inside one graph: the computation becomes the body of a loop over micro-batches, and its
 * outputs are summed in their order. The parameters are then copied to the device once, and one sum of gradients comes
 * back.
 */
import type { Computation, Node, Value } from './graph.ts';

/** The name of the stack that holds one input for all micro-batches. */
export const stackName = (input: string) => `stacked:${input}`;

/**
 * The computation over `count` micro-batches. Each input that is not a parameter is given as a stack, with a leading
 * dimension of `count`; every output, which must be float32, is the sum of the micro-batches' outputs.
 */
export function accumulated(
  { inputs, nodes, outputs }: Computation,
  count: number,
  isParameter: (input: Value) => boolean,
): Computation {
  const { once, repeated } = hoist(nodes, inputs.filter(isParameter));

  const round = scalar('loop:round', 'int64');
  const goOn = scalar('loop:condition', 'bool');
  const stacks: Value[] = [];
  const slices: Node[] = [];
  for (const input of inputs) {
    if (isParameter(input)) continue;
    const stack: Value = { ...input, name: stackName(input.name), shape: [count, ...input.shape] };
    stacks.push(stack);
    slices.push(node('Gather', [stack, round], [input], { axis: 0 }));
  }

  // A sum begins as the scalar 0, to which the first gradient is added by broadcasting, so no zeros of every
  // parameter's size have to be kept. Its shape is therefore not declared.
  const sums = outputs.map(({ name, value }): Value => ({ ...value, name: `sum:${name}`, dynamic: true }));
  const next = outputs.map(({ name, value }): Value => ({ ...value, name: `next:${name}`, data: undefined }));
  const totals = outputs.map(({ name, value }): Value => ({ ...value, name: `total:${name}`, data: undefined }));
  const additions = outputs.map(({ value }, i) => node('Add', [sums[i]!, value], [next[i]!]));

  const body: Computation = {
    inputs: [round, goOn, ...sums],
    nodes: [...slices, ...repeated, ...additions],
    outputs: [goOn, ...next].map((value, i) => ({ name: `loop:output:${i}`, value })),
  };
  const zero: Value = { ...scalar('loop:zero', 'float32'), data: Float32Array.of(0) };
  const initial: Value[] = [
    { ...scalar('loop:rounds', 'int64'), data: BigInt64Array.of(BigInt(count)) },
    { ...scalar('loop:always', 'bool'), data: Uint8Array.of(1) },
    ...sums.map(() => zero),
  ];
  return {
    inputs: [...inputs.filter(isParameter), ...stacks],
    nodes: [...once, node('Loop', initial, totals, { body: { graph: body } })],
    outputs: outputs.map(({ name }, i) => ({ name, value: totals[i]! })),
  };
}

/**
 * Moves nodes that depend on parameters alone, such as their casts to bfloat16, out of the loop. Nodes that depend on
 * nothing stay: for example, zeros to scatter into are overwritten in every round.
 */
function hoist(nodes: readonly Node[], parameters: readonly Value[]): { once: Node[]; repeated: Node[] } {
  const fixed = new Set(parameters);
  const once: Node[] = [];
  const repeated: Node[] = [];
  for (const node of nodes) {
    const variables = node.inputs.filter(({ data }) => !data);
    if (variables.length > 0 && variables.every((value) => fixed.has(value))) {
      once.push(node);
      for (const output of node.outputs) fixed.add(output);
    } else repeated.push(node);
  }
  return { once, repeated };
}

const scalar = (name: string, type: Value['type']): Value => ({ name, shape: [], type });

function node(op: string, inputs: Value[], outputs: Value[], attributes: Node['attributes'] = {}): Node {
  return { op, domain: '', inputs, outputs, attributes };
}
