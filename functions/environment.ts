import { LAKE_DIRECTORY_VARIABLE, LOCAL_LAKE, type StoreOpener, storeOpener } from '../core/storage/index.ts';

/** Opens stores as this process should: S3, or one machine's lake directory. */
export function openerFromEnvironment(): StoreOpener {
  return storeOpener(process.env[LAKE_DIRECTORY_VARIABLE]);
}

/** The data lake's bucket. */
export function lakeBucket(): string {
  return process.env.MATES_LAKE_BUCKET ?? LOCAL_LAKE;
}
