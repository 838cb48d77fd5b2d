/**
 * Linear layers in 8 bits as a pass over a graph: y = x W^T + b. W has already been quantized (`engine/int8-parameters.ts`);
 * x is quantized here, each row by its own largest magnitude. Everything between the products stays in float32.
 */
import type { Int8Matrix } from '../int8-parameters.ts';
import { graphName } from './backend.ts';
import { type Computation, type ElementType, MICROSOFT, type Node, type NodeOptions, type Value } from './graph.ts';

/** Activations are bytes around this point: x = (q - 128) * scale, q from 1 to 255. */
const ZERO_POINT = 128;
const LARGEST = 127;
/** The scale of a row of zeros. */
const LEAST_SCALE = 1e-30;

/**
 * Replaces the products of the weights by products in 8 bits. The matrices become constants of the graph: ONNX Runtime
 * then lays them out for its kernel once instead of in every run (4 to 6 % of an encoder's time).
 *
 * @param weights by name; each parameter must be the second factor [out, in] of products.
 * @throws Error for a weight that is read by anything but such a product.
 */
export function int8Products(graph: Computation, weights: ReadonlyMap<string, Int8Matrix>): Computation {
  const names = new Map([...weights.keys()].map((name) => [graphName.parameter(name), name]));
  const pass = new Pass();
  for (const node of graph.nodes) {
    const weight = node.inputs.map(({ name }) => names.get(name)).find((name) => name !== undefined);
    if (weight === undefined) {
      pass.nodes.push(node);
      continue;
    }
    const { op, attributes } = node;
    const [x, w, bias] = node.inputs as [Value, Value, Value?];
    if (op !== 'Gemm' || names.get(w.name) !== weight || attributes.transB !== 1 || attributes.transA === 1)
      throw new Error(`${weight} is read by ${op}, which cannot be done in 8 bits`);
    const [out, into] = w.shape as [number, number];
    const matrix = weights.get(weight)!;
    const values = constant(`int8:${weight}`, [into, out], matrix.values);
    const scales = constant(`int8-scales:${weight}`, [out], matrix.scales);
    pass.product(node, x, values, scales, bias);
  }
  return { inputs: graph.inputs.filter(({ name }) => !names.has(name)), nodes: pass.nodes, outputs: graph.outputs };
}

class Pass {
  readonly nodes: Node[] = [];
  private readonly quantized = new Map<string, { bytes: Value; scales: Value }>();

  product(node: Node, x: Value, values: Value, columnScales: Value, bias?: Value): void {
    const output = node.outputs[0]!;
    const { bytes, scales } = this.rows(x);
    const [name, { shape }] = [output.name, output];
    const one = constant(`${name}:one`, [], Float32Array.of(1));
    const zero = constant(`${name}:zero`, [], Uint8Array.of(ZERO_POINT));
    const product = this.op('MatMulIntegerToFloat', [bytes, values, one, columnScales, zero], `${name}:int8`, shape, {
      domain: MICROSOFT,
      type: 'float32',
    });
    const column = constant(`${name}:column`, [2], BigInt64Array.of(-1n, 1n));
    const perRow = this.op('Reshape', [scales, column], `${name}:rows`, [shape[0]!, 1]);
    if (!bias) this.op('Mul', [product, perRow], name, shape);
    else this.op('Add', [this.op('Mul', [product, perRow], `${name}:scaled`, shape), bias], name, shape);
  }

  /** x in bytes, and each row's scale; computed once, however many products read it. */
  private rows(x: Value): { bytes: Value; scales: Value } {
    let known = this.quantized.get(x.name);
    if (!known) {
      const { name } = x;
      const [rows] = x.shape as [number, number];
      const axes = constant(`${name}:axes`, [1], BigInt64Array.of(1n));
      const attributes = { keepdims: 0 };
      const most = this.op('ReduceMax', [x, axes], `${name}:most`, [rows], { attributes });
      const least = this.op('ReduceMin', [x, axes], `${name}:least`, [rows], { attributes });
      const largest = this.op('Max', [most, this.op('Neg', [least], `${name}:down`, [rows])], `${name}:largest`, [
        rows,
      ]);
      const unit = constant(`${name}:unit`, [], Float32Array.of(1 / LARGEST));
      const floor = constant(`${name}:floor`, [], Float32Array.of(LEAST_SCALE));
      const scaled = this.op('Mul', [largest, unit], `${name}:unit-scales`, [rows]);
      const scales = this.op('Max', [scaled, floor], `${name}:scales`, [rows]);
      const zeros = constant(`${name}:zeros`, [rows], new Uint8Array(rows).fill(ZERO_POINT));
      const bytes = this.op('QuantizeLinear', [x, scales, zeros], `${name}:bytes`, x.shape, {
        attributes: { axis: 0 },
        type: 'uint8',
      });
      known = { bytes, scales };
      this.quantized.set(name, known);
    }
    return known;
  }

  private op(
    op: string,
    inputs: Value[],
    name: string,
    shape: readonly number[],
    { attributes = {}, domain = '', type = inputs[0]!.type }: NodeOptions = {},
  ): Value {
    const output: Value = { name, shape, type };
    this.nodes.push({ op, domain, inputs, outputs: [output], attributes });
    return output;
  }
}

function constant(name: string, shape: number[], data: Constant): Value {
  return { name, shape, type: typeOf(data), data };
}

type Constant = Float32Array | BigInt64Array | Uint8Array | Int8Array;

function typeOf(data: Constant): ElementType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof BigInt64Array) return 'int64';
  return data instanceof Int8Array ? 'int8' : 'uint8';
}
