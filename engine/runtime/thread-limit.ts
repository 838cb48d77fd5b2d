/**
 * How many threads a graph may be run with before its results change.
 *
 * ONNX Runtime's library of matrix products (MLAS, sgemm.cpp) cuts a product among the threads along the longer of rows
 * and columns, and sums each element over blocks of the inner dimension. The size of such a block depends on the columns
 * that a thread got: below {@link NARROW} it grows, and the sums are rounded elsewhere. A first factor that is read
 * transposed keeps the block's size. A thread with a single row is computed by another kernel. A reduction over axes that
 * others stand before and behind is dealt by those before; more threads than these are sum in another order. The other
 * operators that we use give each element to one thread, whole.
 */
import type { Computation, Node } from '../trace/graph.ts';

/** Columns up to which the inner dimension is summed in longer blocks; columns are dealt in lots of {@link LOT}. */
const NARROW = 64;
const LOT = 16;
/** Inner dimensions up to which there is one block, whatever its size. */
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
  if (rows >= columns) return Math.floor(rows / 2); // dealt by rows, two or more to a thread
  const elements = inputs[0]!.shape.reduce((product, n) => product * n, 1);
  const batch = outputs[0]!.shape.slice(0, -2).reduce((product, n) => product * n, 1);
  const inner = elements / (rows * batch);
  return inner <= ONE_BLOCK ? Number.POSITIVE_INFINITY : Math.floor(columns / (NARROW + LOT));
}

function reductionLimit({ inputs, attributes }: Node): number {
  const [{ shape }, given] = inputs as [Node['inputs'][number], Node['inputs'][number]?];
  const axes = Array.from((given?.data ?? attributes.axes ?? []) as ArrayLike<number | bigint>, Number);
  const at = axes.map((axis) => (axis + shape.length) % shape.length);
  const size = (part: readonly number[]) => part.reduce((product, n) => product * n, 1);
  const before = size(shape.slice(0, Math.min(...at)));
  const behind = size(shape.slice(Math.max(...at) + 1));
  return before > 1 && behind > 1 ? before : Number.POSITIVE_INFINITY;
}
