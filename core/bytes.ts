/** The memory of a typed array as bytes, without a copy. Its numbers are little-endian, as on every machine that the engines run on. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
