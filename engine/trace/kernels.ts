/**
 * How each tfjs kernel that the models use is expressed in ONNX operators. The backend refuses a kernel without a rule
 * here.
 */
import { backend_util, type DataType, util } from '@tensorflow/tfjs-core';
import { type ElementType, type Graph, MICROSOFT, type Value } from './graph.ts';
import { DATA_TYPE } from './onnx.ts';

type Attributes = Record<string, unknown>;

/** Appends the kernel's operators to the graph. `x` holds the inputs by their tfjs names. */
export type Rule = (graph: Graph, x: Record<string, Value>, attributes: Attributes) => Value | Value[];

export const ELEMENT_TYPE: Partial<Record<DataType, ElementType>> = {
  float32: 'float32',
  int32: 'int64',
  bool: 'bool',
};

function elementType(dtype: unknown): ElementType {
  const type = ELEMENT_TYPE[(dtype ?? 'float32') as DataType];
  if (!type) throw new Error(`a traced graph has no tensors of type ${dtype}`);
  return type;
}

function broadcast(a: Value, b: Value): number[] {
  return backend_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);
}

const unary =
  (op: string): Rule =>
  (graph, { x }) =>
    graph.op(op, [x!], x!.shape);

const binary =
  (op: string, type?: ElementType): Rule =>
  (graph, { a, b }) =>
    graph.op(op, [a!, b!], broadcast(a!, b!), { type: type ?? a!.type });

const reduction =
  (op: string): Rule =>
  (graph, { x }, { axis, reductionIndices, keepDims }) => {
    const axes = util.parseAxisParam((axis ?? reductionIndices ?? null) as number[], [...x!.shape]);
    const kept = x!.shape.map((size, i) => (axes.includes(i) ? 1 : size));
    const shape = keepDims ? kept : kept.filter((_, i) => !axes.includes(i));
    return graph.op(op, [x!, graph.integers(axes)], shape, { attributes: { keepdims: keepDims ? 1 : 0 } });
  };

const isOne = ({ data, shape }: Value) => shape.length === 0 && data?.length === 1 && Number(data[0]) === 1;

/** Multiplication, left out if it is by the constant 1, with which every gradient begins. */
const multiply: Rule = (graph, x, attributes) => {
  if (isOne(x.b!)) return x.a!;
  if (isOne(x.a!)) return x.b!;
  return binary('Mul')(graph, x, attributes);
};

/**
 * Matrix products: Gemm for a single one; for a batch FusedMatMul, which reads transposed matrices in place, whereas
 * ONNX's own MatMul would need copies.
 */
const matMul: Rule = (graph, { a, b }, { transposeA, transposeB }) => {
  const [transA, transB] = [transposeA ? 1 : 0, transposeB ? 1 : 0];
  const rows = a!.shape.at(transA ? -1 : -2)!;
  const columns = b!.shape.at(transB ? -2 : -1)!;
  const batch = backend_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  if (util.sizeFromShape(batch) === 1) {
    const flat = [a!, b!].map((value) => graph.reshape(value, value.shape.slice(-2)));
    return graph.reshape(graph.op('Gemm', flat, [rows, columns], { attributes: { transA, transB } }), shape);
  }
  return graph.op('FusedMatMul', [a!, b!], shape, { attributes: { transA, transB }, domain: MICROSOFT });
};

/**
 * Addition. The gradients of a weight from several parts of a batch are added up within the matrix products, and
 * transposed once: a b + c is one product, and the sum of transposed matrices is the transposed sum.
 */
const add: Rule = (graph, x, attributes) => {
  const { a, b } = x as { a: Value; b: Value };
  if (`${a.shape}` !== `${b.shape}`) return binary('Add')(graph, x, attributes);
  const [left, right] = [graph.producer(a), graph.producer(b)];
  if (
    left?.op === 'Transpose' &&
    right?.op === 'Transpose' &&
    `${left.attributes.perm}` === `${right.attributes.perm}`
  ) {
    const sum = add(graph, { a: left.inputs[0]!, b: right.inputs[0]! }, {}) as Value;
    return graph.op('Transpose', [sum], a.shape, { attributes: left.attributes });
  }
  if (right?.op === 'Gemm' && right.inputs.length === 2)
    return graph.op('Gemm', [...right.inputs, a], b.shape, { attributes: { ...right.attributes, beta: { float: 1 } } });
  return binary('Add')(graph, x, attributes);
};

/** alpha a b + beta bias, where a and b are matrices. */
const scaledMatMul: Rule = (graph, { a, b, bias }, { transposeA, transposeB, alpha, beta }) => {
  const [transA, transB] = [transposeA ? 1 : 0, transposeB ? 1 : 0];
  const shape = [a!.shape[transA]!, b!.shape[1 - transB]!];
  const attributes = { transA, transB, alpha: { float: alpha as number }, beta: { float: beta as number } };
  return graph.op('Gemm', bias ? [a!, b!, bias] : [a!, b!], shape, { attributes });
};

/** A matrix product for each head; a factor may have the heads in its first or in its second dimension. */
const headMatMul: Rule = (graph, { a, b }, { sequenceA, sequenceB, transposeA, transposeB, alpha = 1 }) => {
  const byHead = (shape: readonly number[], sequenceFirst: unknown) =>
    sequenceFirst ? [shape[1]!, shape[0]!, shape[2]!] : [...shape];
  const [left, right] = [byHead(a!.shape, sequenceA), byHead(b!.shape, sequenceB)];
  const attributes = {
    transA: transposeA ? 1 : 0,
    transB: transposeB ? 1 : 0,
    transBatchA: sequenceA ? 1 : 0,
    transBatchB: sequenceB ? 1 : 0,
    alpha: { float: alpha as number },
  };
  const shape = [left[0]!, left[transposeA ? 2 : 1]!, right[transposeB ? 1 : 2]!];
  return graph.op('FusedMatMul', [a!, b!], shape, { attributes, domain: MICROSOFT });
};

function layerNormalization(graph: Graph, x: Value, scale: Value, shift: Value, epsilon: unknown): Value[] {
  const perRow = x.shape.with(-1, 1);
  return graph.ops('LayerNormalization', [x, scale, shift], [x.shape, perRow, perRow], {
    attributes: { axis: -1, epsilon: { float: epsilon as number } },
  });
}

const normalizeAxis = (axis: unknown, rank: number) => util.parseAxisParam(axis as number, Array(rank).fill(1))[0]!;

const concat: Rule = (graph, inputs, { axis }) => {
  const values = Object.values(inputs).filter(({ shape }) => util.sizeFromShape([...shape]) > 0);
  const at = normalizeAxis(axis, values[0]!.shape.length);
  const shape = values[0]!.shape.with(
    at,
    values.reduce((sum, value) => sum + value.shape[at]!, 0),
  );
  return graph.op('Concat', values, shape, { attributes: { axis: at } });
};

const slice: Rule = (graph, { x }, { begin, size }) => {
  const starts = begin as number[];
  const shape = x!.shape.map((n, i) => ((size as number[])[i] === -1 ? n - starts[i]! : (size as number[])[i]!));
  const cut = x!.shape.map((_, i) => i).filter((i) => shape[i] !== x!.shape[i]);
  if (cut.length === 0) return x!;
  const bounds = [cut.map((i) => starts[i]!), cut.map((i) => starts[i]! + shape[i]!), cut];
  return graph.op('Slice', [x!, ...bounds.map((values) => graph.integers(values))], shape);
};

function fill(graph: Graph, shape: readonly number[], value: number, dtype: unknown): Value {
  const type = elementType(dtype);
  const scalar =
    type === 'float32'
      ? graph.float(value)
      : graph.constant(type === 'int64' ? BigInt64Array.of(BigInt(value)) : Uint8Array.of(value), []);
  return shape.length === 0 ? scalar : graph.op('Expand', [scalar, graph.integers(shape)], shape);
}

/** The dtype of a value, as tfjs names it. */
const dtypeOf = ({ type }: Value) => (type === 'int64' ? 'int32' : type);

const column = (graph: Graph, indices: Value) => graph.reshape(indices, [...indices.shape, 1]);

function takeAlongRows(graph: Graph, x: Value, columns: Value): Value {
  return graph.op('GatherElements', [x, column(graph, columns)], [...columns.shape, 1], { attributes: { axis: 1 } });
}

/** [value, value, ...]: a scale of ones or a shift of zeros. */
const uniform = (graph: Graph, width: number, value: number) =>
  graph.constant(new Float32Array(width).fill(value), [width]);

export const RULES: Record<string, Rule> = {
  Erf: unary('Erf'),
  Exp: unary('Exp'),
  Log: unary('Log'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal'),
  Sigmoid: unary('Sigmoid'),
  Tanh: unary('Tanh'),
  Square: (graph, { x }) => graph.op('Mul', [x!, x!], x!.shape),

  Add: add,
  Sub: binary('Sub'),
  Multiply: multiply,
  Maximum: binary('Max'),
  Greater: binary('Greater', 'bool'),
  AddN: (graph, inputs) => {
    const values = Object.values(inputs);
    return values.length === 1 ? values[0]! : graph.op('Sum', values, values[0]!.shape);
  },

  Max: reduction('ReduceMax'),
  Mean: reduction('ReduceMean'),
  Sum: reduction('ReduceSum'),
  Softmax: (graph, { logits }) => graph.op('Softmax', [logits!], logits!.shape, { attributes: { axis: -1 } }),

  BatchMatMul: matMul,

  Identity: (_, { x }) => x!,
  Reshape: (graph, { x }, { shape }) =>
    graph.reshape(x!, util.inferFromImplicitShape(shape as number[], util.sizeFromShape([...x!.shape]))),
  Transpose: (graph, { x }, { perm }) => {
    const order = perm as number[];
    const shape = order.map((axis) => x!.shape[axis]!);
    return graph.op('Transpose', [x!], shape, { attributes: { perm: order } });
  },
  Cast: (graph, { x }, { dtype }) => {
    const type = elementType(dtype);
    return type === x!.type ? x! : graph.op('Cast', [x!], x!.shape, { attributes: { to: DATA_TYPE[type] }, type });
  },
  Concat: concat,
  Slice: slice,
  Pack: (graph, inputs, { axis }) => {
    const values = Object.values(inputs);
    const at = normalizeAxis(axis, values[0]!.shape.length + 1);
    const expanded = values.map((value) => graph.reshape(value, value.shape.toSpliced(at, 0, 1)));
    return concat(graph, Object.fromEntries(expanded.entries()), { axis: at });
  },
  Unpack: (graph, { value }, { axis }) => {
    const at = normalizeAxis(axis, value!.shape.length);
    const sizes: number[] = Array(value!.shape[at]).fill(1);
    const shapes = sizes.map((size) => value!.shape.with(at, size));
    const parts = graph.ops('Split', [value!, graph.integers(sizes)], shapes, { attributes: { axis: at } });
    return parts.map((part) => graph.reshape(part, value!.shape.toSpliced(at, 1)));
  },
  OnesLike: (graph, { x }) => fill(graph, x!.shape, 1, dtypeOf(x!)),

  GatherV2: (graph, { x, indices }, { axis, batchDims }) => {
    if (batchDims) throw new Error('a traced gather has no batch dimensions');
    const at = normalizeAxis(axis, x!.shape.length);
    return graph.op('Gather', [x!, indices!], x!.shape.toSpliced(at, 1, ...indices!.shape), {
      attributes: { axis: at },
    });
  },
  ScatterNd: (graph, { indices, updates }, { shape }) => {
    const zeros = fill(graph, shape as number[], 0, dtypeOf(updates!));
    return graph.op('ScatterND', [zeros, indices!, updates!], zeros.shape, { attributes: { reduction: 'add' } });
  },

  // The fused kernels that `ops.ts` and `losses.ts` ask for where a backend has them.
  Standardize: (graph, { x }, { epsilon }) => {
    const width = x!.shape.at(-1)!;
    const [y, , inverseStd] = layerNormalization(
      graph,
      x!,
      uniform(graph, width, 1),
      uniform(graph, width, 0),
      epsilon,
    );
    return [y!, inverseStd!];
  },
  LayerNorm: (graph, { x, scale, shift }, { epsilon }) => layerNormalization(graph, x!, scale!, shift!, epsilon)[0]!,
  RmsNorm: (graph, { x, scale }, { epsilon }) =>
    graph.ops('SimplifiedLayerNormalization', [x!, scale!], [x!.shape, x!.shape.with(-1, 1)], {
      attributes: { axis: -1, epsilon: { float: epsilon as number } },
    }),
  ScaledMatMul: scaledMatMul,
  HeadMatMul: headMatMul,
  Gelu: (graph, { x }) => graph.op('Gelu', [x!], x!.shape, { domain: MICROSOFT }),
  Silu: (graph, { x }) =>
    graph.op('QuickGelu', [x!], x!.shape, { attributes: { alpha: { float: 1 } }, domain: MICROSOFT }),
  ScatterRows: (graph, { ids, rows }, { count }) => graph.rowsAt(count as number, ids!, rows!),
  TakeAlongRows: (graph, { x, columns }) => graph.reshape(takeAlongRows(graph, x!, columns!), columns!.shape),
  // ScatterElements rather than ScatterND: ONNX Runtime runs it in place.
  SubtractOneHot: (graph, { x, columns }) => {
    const taken = takeAlongRows(graph, x!, columns!);
    const less = graph.op('Sub', [taken, graph.float(1)], taken.shape);
    return graph.op('ScatterElements', [x!, column(graph, columns!), less], x!.shape, { attributes: { axis: 1 } });
  },
  /** x [B, S, h, c] */
  RotaryEmbedding: (graph, { x, cos, sin }) => {
    const [batch, length, heads, channels] = x!.shape as [number, number, number, number];
    const flat = graph.reshape(x!, [batch, length, heads * channels]);
    const rotated = graph.op('RotaryEmbedding', [flat, graph.integers([0]), cos!, sin!], flat.shape, {
      attributes: { num_heads: heads, rotary_embedding_dim: 2 * cos!.shape[1]! },
      domain: MICROSOFT,
    });
    return graph.reshape(rotated, x!.shape);
  },
};
