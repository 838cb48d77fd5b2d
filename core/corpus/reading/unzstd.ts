/** Unpacks zstd (RFC 8878) and verifies the checksum of each frame's content, which fzstd ignores. */
import { Decompress } from 'fzstd';
import xxhash, { type XXHash } from 'xxhash-wasm';

/** fzstd is fed in small slices, because one push returns all it unpacks to. */
const SLICE_BYTES = 64 << 10;

/** What a slice may unpack to: a few bytes of it can be many blocks. */
const SLICE_UNPACKED = 1 << 20;

/** Block_Maximum_Size of RFC 8878, section 3.1.1.2.4, which fzstd does not check. */
const BLOCK_BYTES = 128 << 10;

/** What the zstd command unpacks unless it is told otherwise: a window is memory that is taken at once. */
const WINDOW_BYTES = 128 << 20;

/** The data is good, but needs more memory than is given to it. */
export class WideWindow extends Error {}

export const NO_FRAME = 'a frame does not begin as one';

/**
 * @throws WideWindow when a frame needs more than 128 MiB to be unpacked.
 * @throws Error when the data is truncated or damaged.
 */
export async function* unzstd(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const { create64 } = await xxhash();
  let frame: Frame | undefined;
  for await (const piece of pieces)
    for (let at = 0; at < piece.length; ) {
      frame ??= new Frame(create64());
      const slice = piece.subarray(at, at + SLICE_BYTES);
      const used = frame.end.scan(slice);
      at += used;
      yield* frame.push(slice.subarray(0, used));
      if (!frame.end.reached) continue;
      yield* frame.finish();
      frame = undefined;
    }
  if (frame) throw new Error('it ends too early');
}

/** One frame of a file, which may have many. */
class Frame {
  readonly end = new FrameEnd();
  private readonly hash: XXHash<bigint>;
  private readonly stream: Decompress;
  private unpacked: Uint8Array[] = [];

  constructor(hash: XXHash<bigint>) {
    this.hash = hash;
    this.stream = new Decompress((chunk) => {
      this.unpacked.push(chunk);
      hash.update(chunk);
    });
  }

  push(bytes: Uint8Array, final = false): Uint8Array[] {
    this.stream.push(bytes, final);
    return this.unpacked.splice(0);
  }

  finish(): Uint8Array[] {
    const rest = this.push(new Uint8Array(0), true);
    const { checksum } = this.end;
    if (checksum !== undefined && Number(this.hash.digest() & 0xffff_ffffn) !== checksum)
      throw new Error('the checksum is that of other content');
    return rest;
  }
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50; // to ...5f
const RLE_BLOCK = 1;
const COMPRESSED_BLOCK = 2;

/** Finds where a frame ends and how much it unpacks to, from the headers of its blocks (RFC 8878, section 3.1). */
class FrameEnd {
  reached = false;
  /** The frame's last four bytes, where it has a checksum. */
  checksum: number | undefined;
  private hasChecksum = false;
  /** The most that the blocks begun in this scan unpack to. */
  private unpacked = 0;
  /** Bytes to pass over before the next header, which is `wanted` long. */
  private passed = 0;
  private wanted = 4;
  private header: number[] = [];
  private read: (header: number[]) => void = this.readMagic;

  /**
   * @returns how many of the bytes belong to the frame, or are enough for one push. These end behind a block's header:
   *   fzstd keeps a reference to every push that ends where a block does.
   */
  scan(bytes: Uint8Array): number {
    let at = 0;
    this.unpacked = 0;
    while (!this.reached && this.unpacked <= SLICE_UNPACKED) {
      const passed = Math.min(this.passed, bytes.length - at);
      this.passed -= passed;
      at += passed;
      while (this.passed === 0 && this.header.length < this.wanted && at < bytes.length) this.header.push(bytes[at++]!);
      if (this.passed > 0 || this.header.length < this.wanted) break; // the rest is in later bytes
      this.read(this.header.splice(0));
    }
    return at;
  }

  private next(wanted: number, read: (header: number[]) => void): void {
    this.wanted = wanted;
    this.read = read;
  }

  private readMagic(header: number[]): void {
    const magic = littleEndian(header);
    if (magic === MAGIC) this.next(1, this.readDescriptor);
    else if ((magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC) this.next(4, this.readSkipped);
    else throw new Error(NO_FRAME);
  }

  private readSkipped(header: number[]): void {
    this.passed = littleEndian(header);
    this.next(0, this.readEnd);
  }

  private readDescriptor([descriptor]: number[]): void {
    const isSingleSegment = (descriptor! & 0x20) !== 0;
    this.hasChecksum = (descriptor! & 4) !== 0;
    const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor! >>> 6]!;
    const beforeSize = (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor! & 3]!;
    this.next(beforeSize + contentSize, (header) => {
      const window = isSingleSegment ? contentSizeOf(header.slice(beforeSize)) : windowOf(header[0]!);
      if (window > WINDOW_BYTES) throw new WideWindow(`${Math.ceil(window / (1 << 20))} MiB`);
      this.next(3, this.readBlock);
    });
  }

  private readBlock(header: number[]): void {
    const block = littleEndian(header);
    const isLast = (block & 1) !== 0;
    const type = (block >>> 1) & 3;
    const size = block >>> 3;
    if (size > BLOCK_BYTES) throw new Error(`a block of ${size} bytes, which may have ${BLOCK_BYTES} at most`);
    this.unpacked += type === COMPRESSED_BLOCK ? BLOCK_BYTES : size;
    this.passed = type === RLE_BLOCK ? 1 : size;
    if (isLast) this.next(this.hasChecksum ? 4 : 0, this.readEnd);
  }

  private readEnd(header: number[]): void {
    if (header.length > 0) this.checksum = littleEndian(header);
    this.reached = true;
  }
}

const littleEndian = (bytes: number[]) => bytes.reduceRight((value, byte) => value * 256 + byte, 0);

/** A frame in a single segment needs its whole content; two bytes count from 256 on. */
const contentSizeOf = (bytes: number[]) => littleEndian(bytes) + (bytes.length === 2 ? 256 : 0);

/** From a window descriptor: an exponent in five bits, and eighths in three. */
const windowOf = (descriptor: number) => 2 ** (10 + (descriptor >>> 3)) * (1 + (descriptor & 7) / 8);
