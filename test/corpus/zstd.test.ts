import { Decompress } from 'fzstd';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { unzstd } from '../../core/corpus/reading/unzstd.ts';
import { InputError } from '../../core/errors.ts';
import { readAll, writeInput } from './support.ts';

const MAGIC = '28b52ffd';
/** A window of 128 KiB, and neither a checksum nor the content's size. */
const HEADER = `${MAGIC}0038`;

/** A frame of blocks that repeat one byte: each is four bytes and unpacks to `size`. */
function repeating(size: number, blocks: number, header = HEADER): Buffer {
  const frame = Buffer.concat([Buffer.from(header, 'hex'), Buffer.alloc(4 * blocks, 'a')]);
  for (let i = 0; i < blocks; i++)
    frame.writeUIntLE((size << 3) | (1 << 1) | (i === blocks - 1 ? 1 : 0), header.length / 2 + 4 * i, 3);
  return frame;
}

async function* inPieces(bytes: Uint8Array, size = bytes.length) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('zstd that is much smaller than its content', () => {
  it.each([1, 5, 1 << 20])('is handed on some blocks at a time, in pieces of %i bytes', async (size) => {
    const push = vi.spyOn(Decompress.prototype, 'push');
    let [total, pushes, atOnce, most] = [0, 0, 0, 0];
    for await (const piece of unzstd(inPieces(repeating(128 << 10, 100), size))) {
      if (push.mock.calls.length > pushes) atOnce = 0;
      pushes = push.mock.calls.length;
      atOnce += piece.length;
      total += piece.length;
      most = Math.max(most, atOnce);
      expect(piece.every((byte) => byte === 0x61)).toBe(true);
    }
    expect(total).toBe(100 * (128 << 10));
    expect(most).toBeLessThan(2 << 20);
  });

  it('is refused where a block is larger than the format allows', async () => {
    const path = await writeInput('in.jsonl.zst', repeating((128 << 10) + 1, 2));
    await expect(readAll(path)).rejects.toThrow(/in\.jsonl\.zst: .* damaged \(a block of 131073 bytes, .*again/);
    await expect(readAll(path)).rejects.toThrow(InputError);
  });
});

describe('the window of zstd', () => {
  it.each([
    ['of a descriptor, one eighth over', `${MAGIC}0089`, '144 MiB'],
    ['of a descriptor, the largest', `${MAGIC}00ff`, '3932160 MiB'],
    ['that is a content size of four bytes', `${MAGIC}a001000008`, '129 MiB'],
    ['that is a content size of eight bytes', `${MAGIC}e00000000001000000`, '4096 MiB'],
    ['behind the id of a dictionary', `${MAGIC}a1ff01000008`, '129 MiB'],
  ])('%s is refused beyond 128 MiB, with the remedy', async (_, header, found) => {
    const failing = readAll(await writeInput('in.jsonl.zst', repeating(1, 20, header)));
    await expect(failing).rejects.toThrow(`window of ${found}, at most 128 MiB`);
    await expect(failing).rejects.toThrow(/in\.jsonl\.zst: .*; compress it again without --long/);
    await expect(failing).rejects.toThrow(InputError);
  });

  it.each([
    ['of 128 MiB', `${MAGIC}0088`],
    ['that is a content size of one byte', `${MAGIC}2014`],
    ['that is a content size of two bytes', `${MAGIC}600000`],
  ])('%s is taken', async (_, header) => {
    const found: Uint8Array[] = [];
    for await (const piece of unzstd(inPieces(repeating(1, 20, header)))) found.push(piece);
    expect(Buffer.concat(found).toString()).toBe('a'.repeat(20));
  });
});
