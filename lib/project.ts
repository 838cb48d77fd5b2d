import { fileURLToPath } from 'node:url';

/** The repository's root, where package-lock.json, functions/ and containers/ are. */
export const PROJECT_ROOT = fileURLToPath(new URL('..', import.meta.url));
