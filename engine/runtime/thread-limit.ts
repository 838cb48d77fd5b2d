/**
 * How many threads a graph may be run with before its results change.
 *
 * ONNX Runtime's library of matrix products (MLAS, sgemm.cpp) divides a product among the threads along the longer of
 * rows and columns, and sums each element over blocks of the inner dimension. The size of these blocks depends on how
 * many columns a thread got: from {@link NARROW} down the blocks grow, and the sums are rounded at other places. With a
 * first factor that is read transposed, the block size stays the same. A thread that got a single row uses another
 * kernel. A reduction over axes with other axes before and behind is divided along those before; if there are more
 * threads than these have elements, the sums run in another order. The other operators that we use compute each element
 * in one thread.
 */
import { sizeOf } from '../parameters.ts';
import type { Computation, Node } from '../trace/graph.ts';

/**
 * Up to this many columns, the inner dimension is summed in longer blocks; columns are divided in lots of {@link LOT}.
 */
const NARROW = 64;
const LOT = 16;
/** Up to this inner dimension there is only one block, whatever the block size. */
const ONE_BLOCK = 128;

/** The largest number of threads with which the graph's results are those of one thread; at least 1. */
export function threadLimit({ nodes }: Computation): number {
  return Math.max(1, Math.min(...nodes.map(limitOf)));
}

function limitOf(node: Node): number {
  const { op, inputs, outputs, attributes } = node;
  if (op.startsWith('Reduce')) return reductionLimit(node);
  if (op !== 'Gemm' && op !== 'MatMul' && op !== 'FusedMatMul') return Number.POSITIVE_INFINITY;
  const [rows, columns] = outputs[0]!.shape.slice(-2) as [number, number];
  if (attributes.transA === 1) return Number.POSITIVE_INFINITY;
  if (rows >= columns) return Math.floor(rows / 2); // divided by rows, at least two to a thread
  const elements = sizeOf(inputs[0]!.shape);
  const batch = sizeOf(outputs[0]!.shape.slice(0, -2));
  const inner = elements / (rows * batch);
  return inner <= ONE_BLOCK ? Number.POSITIVE_INFINITY : Math.floor(columns / (NARROW + LOT));
}

function reductionLimit({ inputs, attributes }: Node): number {
  const [{ shape }, given] = inputs as [Node['inputs'][number], Node['inputs'][number]?];
  const axes = Array.from((given?.data ?? attributes.axes ?? []) as ArrayLike<number | bigint>, Number);
  const at = axes.map((axis) => (axis + shape.length) % shape.length);
  const before = sizeOf(shape.slice(0, Math.min(...at)));
  const behind = sizeOf(shape.slice(Math.max(...at) + 1));
  return before > 1 && behind > 1 ? before : Number.POSITIVE_INFINITY;
}
