import { join } from 'node:path';
import { DEFAULT_DEPLOYMENT, type Deployment } from '../core/cost/deployment.ts';
import { FUNCTION_VARIABLE } from '../core/deployed-names.ts';
import { LAKE_DIRECTORY_VARIABLE, LOCAL_LAKE, type StoreOpener, storeOpener } from '../core/storage/index.ts';

/** Opens stores as this process's environment says: on S3, or in the lake directory of one machine. */
export function openerFromEnvironment(): StoreOpener {
  // The files behind `builtin:` URIs are in the bundle, next to the functions' code.
  const bundle = process.env.LAMBDA_TASK_ROOT;
  return storeOpener(process.env[LAKE_DIRECTORY_VARIABLE], bundle && join(bundle, 'examples'));
}

/** Whether the lake is a directory of this machine; jobs can then read the machine's own paths too. */
export function onOneMachine(): boolean {
  return process.env[LAKE_DIRECTORY_VARIABLE] !== undefined;
}

/** What the deployment tells a function; undefined where it tells nothing of it, as on one machine. */
export function told(what: keyof typeof FUNCTION_VARIABLE): string | undefined {
  return process.env[FUNCTION_VARIABLE[what]];
}

/** The data lake's bucket. */
export function lakeBucket(): string {
  return told('lakeBucket') ?? LOCAL_LAKE;
}

/** The settings that prices and times depend on. */
export function deploymentFromEnvironment(): Deployment {
  return { ...DEFAULT_DEPLOYMENT, ...JSON.parse(told('deployment') ?? '{}') };
}
