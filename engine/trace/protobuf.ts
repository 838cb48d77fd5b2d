/** Writes the three protocol-buffer wire types that ONNX uses. */
export class ProtobufWriter {
  private readonly parts: Uint8Array[] = [];

  /** A varint; negative numbers take ten bytes of two's complement. */
  integer(field: number, value: number | bigint): void {
    this.parts.push(varint(BigInt(field) << 3n), varint(BigInt.asUintN(64, BigInt(value))));
  }

  float(field: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.parts.push(varint((BigInt(field) << 3n) | 5n), bytes);
  }

  bytes(field: number, value: Uint8Array): void {
    this.parts.push(varint((BigInt(field) << 3n) | 2n), varint(BigInt(value.length)), value);
  }

  string(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, 'utf8'));
  }

  message(field: number, write: (writer: ProtobufWriter) => void): void {
    const inner = new ProtobufWriter();
    write(inner);
    this.bytes(field, inner.finish());
  }

  finish(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  do {
    const low = Number(value & 127n);
    value >>= 7n;
    bytes.push(value > 0n ? low | 128 : low);
  } while (value > 0n);
  return Uint8Array.from(bytes);
}
