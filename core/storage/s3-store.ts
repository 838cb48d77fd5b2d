import type { S3Client } from '@aws-sdk/client-s3';
import { NotFoundError, type Store } from './store.ts';

/** Loaded on first use: a job on one machine, which uses no S3, starts without the SDK. */
const sdk = () => import('@aws-sdk/client-s3');

/** A bucket prefix as a {@link Store}. S3 writes are atomic, so a put needs no partial object. */
export class S3Store implements Store {
  readonly uri: string;
  private client: Promise<S3Client> | undefined;
  private readonly bucket: string;
  private readonly prefix: string;

  constructor(bucket: string, prefix: string, client?: S3Client) {
    this.bucket = bucket;
    this.prefix = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
    this.uri = `s3://${bucket}/${this.prefix}`.replace(/\/$/, '');
    this.client = client && Promise.resolve(client);
  }

  async get(key: string, range?: { offset: number; length: number }): Promise<Uint8Array> {
    if (range?.length === 0) return new Uint8Array(0); // HTTP has no empty range
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const { GetObjectCommand } = await sdk();
    try {
      const answer = await (await this.s3()).send(new GetObjectCommand({ ...this.at(key), Range }));
      return await answer.Body!.transformToByteArray();
    } catch (error) {
      throw isNotFound(error) ? new NotFoundError(`${this.uri}/${key}`) : error;
    }
  }

  async put(key: string, bytes: Uint8Array | string): Promise<void> {
    const { PutObjectCommand } = await sdk();
    await (await this.s3()).send(new PutObjectCommand({ ...this.at(key), Body: bytes }));
  }

  async putIfAbsent(key: string, bytes: Uint8Array | string): Promise<boolean> {
    const { PutObjectCommand } = await sdk();
    try {
      await (await this.s3()).send(new PutObjectCommand({ ...this.at(key), Body: bytes, IfNoneMatch: '*' }));
      return true;
    } catch (error) {
      if ((error as Error).name === 'PreconditionFailed') return false;
      throw error;
    }
  }

  async size(key: string): Promise<number | undefined> {
    const { HeadObjectCommand } = await sdk();
    try {
      return (await (await this.s3()).send(new HeadObjectCommand(this.at(key)))).ContentLength;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<string[]> {
    const { ListObjectsV2Command } = await sdk();
    const keys: string[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await (await this.s3()).send(
        new ListObjectsV2Command({ Bucket: this.bucket, Prefix: this.prefix + prefix, ContinuationToken }),
      );
      for (const object of page.Contents ?? []) keys.push(object.Key!.slice(this.prefix.length));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    return keys;
  }

  async delete(key: string): Promise<void> {
    const { DeleteObjectCommand } = await sdk();
    await (await this.s3()).send(new DeleteObjectCommand(this.at(key)));
  }

  private s3(): Promise<S3Client> {
    this.client ??= sdk().then(({ S3Client }) => new S3Client({}));
    return this.client;
  }

  private at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }
}

function isNotFound(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound', 'NoSuchBucket'].includes((error as Error).name);
}
