/** Serializes a graph as an ONNX model (onnx.proto3; field numbers from there). */
import { bytesOf } from '../../core/bytes.ts';
import { type Attribute, type Computation, type ElementType, MICROSOFT, type Node, type Value } from './graph.ts';
import { ProtobufWriter } from './protobuf.ts';

/** Opset 20 of IR version 9: the newest opset all of whose operators ONNX Runtime has had since 1.17. */
const OPSET = 20;
const IR_VERSION = 9;

/** TensorProto.DataType */
export const DATA_TYPE: Record<ElementType, number> = {
  float32: 1,
  int64: 7,
  bool: 9,
  bfloat16: 16,
  int8: 3,
  uint8: 2,
};

export function onnxModel(graph: Computation): Uint8Array {
  const model = new ProtobufWriter();
  model.integer(1, IR_VERSION);
  model.message(7, (writer) => writeGraph(writer, graph));
  for (const [domain, version] of [
    ['', OPSET],
    [MICROSOFT, 1],
  ] as const)
    model.message(8, (writer) => {
      writer.string(1, domain);
      writer.integer(2, version);
    });
  return model.finish();
}

/** @param scope prefix of the constants' names: those in a body must not shadow those of the graph around it. */
function writeGraph(writer: ProtobufWriter, { inputs, nodes, outputs }: Computation, scope = ''): void {
  // A computed output gets the output's name, so that its node can write straight into the caller's buffer. An Identity
  // node copies a value that is an output twice, an input or a constant.
  const computed = new Set(nodes.flatMap(({ outputs }) => outputs));
  const renamed = new Map<string, string>();
  const copies: Node[] = [];
  for (const { name, value } of outputs) {
    if (computed.has(value) && !renamed.has(value.name)) renamed.set(value.name, name);
    else copies.push({ op: 'Identity', domain: '', inputs: [value], outputs: [{ ...value, name }], attributes: {} });
  }
  const written = [...nodes, ...copies];
  const constants = new Set(written.flatMap(({ inputs }) => inputs).filter(({ data }) => data));
  if (scope) for (const { name } of constants) renamed.set(name, scope + name);
  for (const node of written) writer.message(1, (inner) => writeNode(inner, node, renamed, scope));
  writer.string(2, 'mates');
  for (const value of constants)
    writer.message(5, (inner) => writeTensor(inner, { ...value, name: scope + value.name }));
  for (const value of inputs) writer.message(11, (inner) => writeValue(inner, value));
  for (const { name, value } of outputs) writer.message(12, (inner) => writeValue(inner, { ...value, name }));
}

function writeNode(writer: ProtobufWriter, node: Node, renamed: ReadonlyMap<string, string>, scope: string): void {
  for (const { name } of node.inputs) writer.string(1, renamed.get(name) ?? name);
  for (const { name } of node.outputs) writer.string(2, renamed.get(name) ?? name);
  writer.string(4, node.op);
  for (const [name, value] of Object.entries(node.attributes))
    writer.message(5, (inner) => writeAttribute(inner, name, value, scope));
  if (node.domain) writer.string(7, node.domain);
}

function writeAttribute(writer: ProtobufWriter, name: string, value: Attribute, scope: string): void {
  // AttributeProto.AttributeType: 1 float, 2 int, 3 string, 5 graph, 7 ints.
  writer.string(1, name);
  if (typeof value === 'number') {
    writer.integer(3, value);
    writer.integer(20, 2);
  } else if (typeof value === 'string') {
    writer.string(4, value);
    writer.integer(20, 3);
  } else if ('float' in value) {
    writer.float(2, value.float);
    writer.integer(20, 1);
  } else if ('graph' in value) {
    writer.message(6, (inner) => writeGraph(inner, value.graph, `${scope}body:`));
    writer.integer(20, 5);
  } else {
    for (const item of value) writer.integer(8, item);
    writer.integer(20, 7);
  }
}

function writeTensor(writer: ProtobufWriter, { name, shape, type, data }: Value): void {
  for (const size of shape) writer.integer(1, size);
  writer.integer(2, DATA_TYPE[type]);
  writer.string(8, name);
  writer.bytes(9, bytesOf(data!));
}

function writeValue(writer: ProtobufWriter, { name, shape, type, dynamic }: Value): void {
  writer.string(1, name);
  writer.message(2, (typeProto) =>
    typeProto.message(1, (tensor) => {
      tensor.integer(1, DATA_TYPE[type]);
      if (dynamic) return;
      tensor.message(2, (dimensions) => {
        for (const size of shape) dimensions.message(1, (dimension) => dimension.integer(1, size));
      });
    }),
  );
}
