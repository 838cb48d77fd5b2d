/** A graph of ONNX operators with static shapes, built node by node in execution order. */
import { createHash } from 'node:crypto';
import { bytesOf } from '../../core/bytes.ts';

/** ONNX Runtime's own operators. */
export const MICROSOFT = 'com.microsoft';

/** Tracing produces the first three; `mixed-precision.ts` adds `bfloat16`, and `int8.ts` the bytes. */
export type ElementType = 'float32' | 'int64' | 'bool' | 'bfloat16' | 'int8' | 'uint8';

/**
 * Integers, strings and integer lists are plain values; a float is marked, since JavaScript's numbers do not say so.
 */
export type Attribute = number | { float: number } | string | readonly number[] | { graph: Computation };

export interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** The elements of a constant. */
  readonly data?: Float32Array | BigInt64Array | Uint8Array | Int8Array;
  /** Whether the shape changes while the graph runs, so that the model does not declare it. */
  readonly dynamic?: boolean;
  /** For a reshaped value, the original. */
  readonly reshaped?: Value;
}

export interface Node {
  readonly op: string;
  /** '' for ONNX itself, `com.microsoft` for ONNX Runtime's own operators. */
  readonly domain: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** The nodes from inputs to outputs: a whole graph, or the body of an operator that repeats it. */
export interface Computation {
  readonly inputs: readonly Value[];
  /** In execution order. */
  readonly nodes: readonly Node[];
  readonly outputs: readonly { name: string; value: Value }[];
}

export interface NodeOptions {
  attributes?: Record<string, Attribute>;
  domain?: string;
  /** Default: the first input's. */
  type?: ElementType;
}

/** A table that is zero but for some rows, or the sum of one and `rest`. */
export interface Scattered {
  ids: Value;
  rows: Value;
  rest?: Value;
}

/** A placeholder, not an ONNX operator. */
const ROWS_AT = 'RowsAt';

export class Graph implements Computation {
  readonly inputs: Value[] = [];
  readonly outputs: { name: string; value: Value }[] = [];
  readonly nodes: Node[] = [];
  private names = 0;
  /** By content, since every layer makes its masks and angles anew. */
  private readonly constants = new Map<string, Value>();
  private readonly reshapes = new Map<string, Value>();
  private readonly producers = new Map<string, Node>();

  input(name: string, shape: readonly number[], type: ElementType): Value {
    const value = { name, shape, type };
    this.inputs.push(value);
    return value;
  }

  output(name: string, value: Value): void {
    this.outputs.push({ name, value });
  }

  constant(data: Float32Array | BigInt64Array | Uint8Array, shape: readonly number[]): Value {
    const type = data instanceof Float32Array ? 'float32' : data instanceof BigInt64Array ? 'int64' : 'bool';
    const content = createHash('sha1').update(bytesOf(data));
    const key = `${type} ${shape} ${content.digest('base64')}`;
    let value = this.constants.get(key);
    if (!value) {
      value = { name: this.name('constant'), shape, type, data };
      this.constants.set(key, value);
    }
    return value;
  }

  float(value: number): Value {
    return this.constant(Float32Array.of(value), []);
  }

  /** A list of integers, as operators take axes, sizes and shapes. */
  integers(values: readonly number[]): Value {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** Appends an operator with one output. */
  op(op: string, inputs: readonly Value[], shape: readonly number[], options: NodeOptions = {}): Value {
    return this.ops(op, inputs, [shape], options)[0]!;
  }

  /** Appends an operator with several outputs. */
  ops(
    op: string,
    inputs: readonly Value[],
    shapes: readonly (readonly number[])[],
    options: NodeOptions = {},
  ): Value[] {
    const { attributes = {}, domain = '', type = inputs[0]!.type } = options;
    const outputs = shapes.map((shape) => ({ name: this.name(op), shape, type }));
    this.append({ op, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** The value in another shape; reshapes of reshapes collapse, and reshaping back gives the value itself. */
  reshape(value: Value, shape: readonly number[]): Value {
    const source = value.reshaped ?? value;
    if (`${source.shape}` === `${shape}`) return source;
    const key = `${source.name} ${shape}`;
    let reshaped = this.reshapes.get(key);
    if (!reshaped) {
      reshaped = { name: this.name('Reshape'), shape, type: source.type, reshaped: source };
      this.append({
        op: 'Reshape',
        domain: '',
        inputs: [source, this.integers(shape)],
        outputs: [reshaped],
        attributes: {},
      });
      this.reshapes.set(key, reshaped);
    }
    return reshaped;
  }

  /** The node that computes the value; none for inputs and constants. */
  producer({ name }: Value): Node | undefined {
    return this.producers.get(name);
  }

  /**
   * Zeros [count, d], to which rows [n, d] are added at ids [n]. It can only be an output, or a term of one. The graph
   * then gives the ids and rows ({@link scattered}), and whoever runs it adds them up: ONNX Runtime's ScatterND adds
   * rows of one id in whatever order its threads arrive, and its ScatterElements takes a hundred times as long.
   */
  rowsAt(count: number, ids: Value, rows: Value): Value {
    return this.op(ROWS_AT, [ids, rows], [count, ...rows.shape.slice(1)], { type: rows.type });
  }

  /** The ids and rows of a value that {@link rowsAt} made, and what else is in the sum if one was added to it. */
  scattered(value: Value): Scattered | undefined {
    const node = this.producer(value);
    if (node?.op === ROWS_AT) return { ids: node.inputs[0]!, rows: node.inputs[1]! };
    if (node?.op !== 'Add') return undefined;
    const table = node.inputs.find((term) => this.producer(term)?.op === ROWS_AT);
    const rest = node.inputs.find((term) => term !== table);
    return table && rest && { ...this.scattered(table)!, rest };
  }

  /** The nodes that some output needs, in order, so that a forward-only program computes nothing else. */
  liveNodes(): Node[] {
    const needed = new Set(this.outputs.map(({ value }) => value.name));
    const live: Node[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some(({ name }) => needed.has(name))) continue;
      live.push(node);
      for (const { name } of node.inputs) needed.add(name);
    }
    if (live.some(({ op }) => op === ROWS_AT))
      throw new Error('the gradient of an embedding that is looked up twice cannot be traced');
    return live.reverse();
  }

  /** Everything that some output needs, inputs included: an ONNX model must not declare other inputs. */
  live(): Computation {
    const nodes = this.liveNodes();
    const used = new Set([...nodes.flatMap(({ inputs }) => inputs), ...this.outputs.map(({ value }) => value)]);
    return { inputs: this.inputs.filter((value) => used.has(value)), nodes, outputs: this.outputs };
  }

  private append(node: Node): void {
    this.nodes.push(node);
    for (const { name } of node.outputs) this.producers.set(name, node);
  }

  private name(of: string): string {
    return `${of}_${this.names++}`;
  }
}
