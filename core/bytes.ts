/** The memory of a typed array as bytes, without a copy: of its numbers, little-endian, as every Node is. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
