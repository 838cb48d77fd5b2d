#!/usr/bin/env node
// The command's entry: the sources are TypeScript, which tsx loads as they are.
import { register } from 'tsx/esm/api';

if (process.platform === 'win32') {
  process.stderr.write('mates: Windows is not supported: use it inside WSL 2, which is Linux.\n');
  process.exit(2);
}

// By default it would follow the tsconfig.json of the folder that the user is in, which may send our imports anywhere.
register({ tsconfig: false });
await import('./mates.ts');
