import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { PARTIAL_FOLDER, PARTIAL_TAG } from '../layout.ts';
import { type Content, NotFoundError, type Pieces, type Store } from './store.ts';
import { isTransient } from './transient.ts';

/** Loaded on first use: a job on one machine, which uses no S3, starts without the SDK. */
const sdk = () => import('@aws-sdk/client-s3');

/** Larger objects are uploaded in parts of this size, of which some six are in memory at once. */
const PART_BYTES = 16 << 20;
/** S3's limit on the parts of one object; larger objects have larger parts. */
const MOST_PARTS = 10_000;
/**
 * Attempts at a request, with pauses that grow to 20 seconds: over a minute in all, where the SDK's default of 3 gives
 * up in one second.
 */
const ATTEMPTS = 8;
const BODY_ATTEMPTS = 4;
/**
 * The SDK waits forever for an answer that stalls, and Batch does not restart a job that its timeout has ended. S3
 * sends something within seconds, even while it completes a large upload.
 */
const TIMEOUTS = { connectionTimeout: 10_000, socketTimeout: 120_000 };
/** Parts under way at once: one connection alone is slower than the network. */
const UPLOADS = 4;

/** One client for every store that is given this, made at the first request. */
export function s3Client(timeouts = TIMEOUTS): () => Promise<S3Client> {
  let client: Promise<S3Client> | undefined;
  return () => {
    client ??= sdk().then(({ S3Client }) => new S3Client({ maxAttempts: ATTEMPTS, requestHandler: timeouts }));
    return client;
  };
}

/**
 * A bucket prefix as a {@link Store}. S3 writes are atomic, so a put needs no partial object: one that fails leaves
 * neither an object nor parts of one, and the bucket's lifecycle removes the parts of a killed writer.
 */
export class S3Store implements Store {
  readonly uri: string;
  private readonly client: () => Promise<S3Client>;
  private readonly bucket: string;
  private readonly prefix: string;
  private readonly partBytes: number;

  /**
   * @param client by default one of this store alone.
   * @param partBytes at least 5 MiB, S3's least.
   */
  constructor(bucket: string, prefix: string, client = s3Client(), partBytes = PART_BYTES) {
    this.partBytes = partBytes;
    this.bucket = bucket;
    this.prefix = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
    this.uri = `s3://${bucket}/${this.prefix}`.replace(/\/$/, '');
    this.client = client;
  }

  async get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    if (range?.length === 0) return new Uint8Array(0); // HTTP has no empty range
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const { GetObjectCommand } = await sdk();
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await (await this.client()).send(new GetObjectCommand({ ...this.at(key), Range }));
        return await answer.Body!.transformToByteArray();
      } catch (error) {
        if (isNotFound(error)) throw new NotFoundError(`${this.uri}/${key}`);
        if ((error as Error).name === 'InvalidRange') return new Uint8Array(0); // the object ends before it
        // The SDK tries again until it has an answer, but not when the connection breaks within its body.
        if (attempt === BODY_ATTEMPTS || !(await isTransient(error))) throw error;
        await delay(100 * 2 ** attempt);
      }
    }
  }

  async put(key: string, content: Content, bytes?: number): Promise<void> {
    const target = { ...this.at(key), Tagging: tagging(key) };
    const whole = typeof content === 'string' ? Buffer.from(content) : content;
    if (whole instanceof Uint8Array && whole.length <= this.partBytes) {
      const { PutObjectCommand } = await sdk();
      await (await this.client()).send(new PutObjectCommand({ ...target, Body: whole }));
      return;
    }
    const { Upload } = await import('@aws-sdk/lib-storage');
    const size = whole instanceof Uint8Array ? whole.length : (bytes ?? 0);
    const upload = new Upload({
      client: await this.client(),
      params: { ...target, Body: bodyOf(whole) },
      partSize: Math.max(this.partBytes, Math.ceil(size / MOST_PARTS)),
      queueSize: UPLOADS,
    });
    await upload.done();
  }

  async putIfAbsent(key: string, text: string): Promise<boolean> {
    const { PutObjectCommand } = await sdk();
    for (let attempt = 1; ; attempt++) {
      try {
        const put = new PutObjectCommand({ ...this.at(key), Body: Buffer.from(text), IfNoneMatch: '*' });
        await (await this.client()).send(put);
        return true;
      } catch (error) {
        const { name } = error as Error;
        if (name === 'PreconditionFailed') return false;
        // Another put of the key is under way: once it has ended, S3 says whether the key is there.
        if (name !== 'ConditionalRequestConflict' || attempt === BODY_ATTEMPTS) throw error;
        await delay(100 * 2 ** attempt);
      }
    }
  }

  async size(key: string): Promise<number | undefined> {
    const { HeadObjectCommand } = await sdk();
    try {
      return (await (await this.client()).send(new HeadObjectCommand(this.at(key)))).ContentLength;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<string[]> {
    const { paginateListObjectsV2 } = await sdk();
    const keys: string[] = [];
    const under = { Bucket: this.bucket, Prefix: this.prefix + prefix };
    for await (const { Contents = [] } of paginateListObjectsV2({ client: await this.client() }, under))
      for (const { Key } of Contents) keys.push(Key!.slice(this.prefix.length));
    return keys;
  }

  async delete(key: string): Promise<void> {
    const { DeleteObjectCommand } = await sdk();
    await (await this.client()).send(new DeleteObjectCommand(this.at(key)));
  }

  private at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }
}

/**
 * By this tag, the bucket's lifecycle removes a superseded checkpoint after a day; otherwise it would stay two weeks as
 * an old version.
 */
function tagging(key: string): string | undefined {
  return `/${key}`.includes(`/${PARTIAL_FOLDER}`) ? `${PARTIAL_TAG.key}=${PARTIAL_TAG.value}` : undefined;
}

function bodyOf(content: Uint8Array | Pieces): Uint8Array | Readable {
  return content instanceof Uint8Array ? content : Readable.from(content);
}

function isNotFound(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound', 'NoSuchBucket'].includes((error as Error).name);
}
