#!/usr/bin/env node
// The command's entry: the sources are TypeScript, which tsx loads as they are.
import { register } from 'tsx/esm/api';

register();
await import('./mates.ts');
