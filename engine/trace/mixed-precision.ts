/**
 * Mixed precision (Micikevicius et al. 2018) as a pass over a graph: every matrix product reads and writes bfloat16, and
 * everything else (weights, residual stream, LayerNorm, softmax, loss, sums of gradients) stays in float32. bfloat16 has the
 * range of float32, so the loss need not be scaled.
 */
import type { Attribute, Computation, ElementType, Node, Value } from './graph.ts';
import { DATA_TYPE } from './onnx.ts';

const PRODUCTS: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'FusedMatMul']);

/**
 * How a product of bfloat16 matrices is computed. `native`: by a kernel for bfloat16, which ONNX Runtime has for CUDA.
 * `emulated`: by the float32 kernel, with factors and result rounded to bfloat16. Both accumulate in float32, so they
 * differ only in the order of the sums.
 */
export type Bfloat16Products = 'native' | 'emulated';

export function mixedPrecision({ inputs, nodes, outputs }: Computation, products: Bfloat16Products): Computation {
  const written: Node[] = [];
  const append = (
    op: string,
    inputs: Value[],
    output: Value,
    attributes: Record<string, Attribute> = {},
    domain = '',
  ) => {
    written.push({ op, domain, inputs, outputs: [output], attributes });
    return output;
  };
  const named = ({ shape }: Value, name: string, type: ElementType): Value => ({ name, shape, type });
  const cast = (value: Value, output: Value) => append('Cast', [value], output, { to: DATA_TYPE[output.type] });

  const factors = new Map<Value, Value>();
  /** The value in bfloat16, cast once, however many products read it. */
  const factor = (value: Value): Value => {
    let known = factors.get(value);
    if (!known) {
      known = cast(value, named(value, `${value.name}:bfloat16`, 'bfloat16'));
      if (products === 'emulated') known = cast(known, named(value, `${value.name}:rounded`, 'float32'));
      factors.set(value, known);
    }
    return known;
  };

  for (const node of nodes) {
    const output = node.outputs[0]!;
    if (!PRODUCTS.has(node.op) || output.type !== 'float32') {
      written.push(node);
      continue;
    }
    const { beta, ...attributes } = node.attributes;
    const [a, b, addend] = node.inputs as [Value, Value, Value?];
    const { name } = output;
    let product = named(output, `${name}:product`, products === 'native' ? 'bfloat16' : 'float32');
    append(node.op, [factor(a), factor(b)], product, attributes, node.domain);
    if (products === 'emulated') product = cast(product, named(output, `${name}:bfloat16`, 'bfloat16'));
    if (!addend) {
      cast(product, output);
      continue;
    }
    // The bias or residual that Gemm adds is added in float32.
    const scale = (beta as { float: number } | undefined)?.float ?? 1;
    let added = addend;
    if (scale !== 1) {
      const scaling: Value = { name: `${name}:beta`, shape: [], type: 'float32', data: Float32Array.of(scale) };
      added = append('Mul', [addend, scaling], named(addend, `${name}:addend`, 'float32'));
    }
    append('Add', [cast(product, named(output, `${name}:float32`, 'float32')), added], output);
  }
  return { inputs, nodes: written, outputs };
}
