import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { AssetHashType, DockerImage } from 'aws-cdk-lib/core';
import { buildSync } from 'esbuild';
import { PROJECT_ROOT } from '../project.ts';

/** The folders of `functions/`. */
export const FUNCTION_NAMES = ['validate-run', 'plan-stage', 'merge-top-k', 'advance-stage', 'finish-run'] as const;
export type FunctionName = (typeof FUNCTION_NAMES)[number];

/** `functions/<name>/index.ts`, bundled; of the asset, each function loads only what its handler imports. */
export const handlerOf = (name: FunctionName) => `${name}/index.handler`;

/**
 * The code of every function as one asset, made by one run of esbuild: shared parts are in it once, and synthesis takes
 * a third of the time of a separate bundle for each.
 */
export function functionCode(): Code {
  return Code.fromAsset(join(PROJECT_ROOT, 'functions'), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry('none'), // required by the type; the local bundling below never declines
      local: {
        tryBundle(outdir) {
          bundle(outdir);
          return true;
        },
      },
    },
  });
}

function bundle(outdir: string): void {
  buildSync({
    entryPoints: FUNCTION_NAMES.map((name) => ({
      in: join(PROJECT_ROOT, 'functions', name, 'index.ts'),
      out: `${name}/index`,
    })),
    outdir,
    chunkNames: 'shared/[hash]',
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    mainFields: ['module', 'main'],
    // Nothing is external: the SDK is bundled at its locked version, because the runtime's own changes under us.
    minify: true,
    keepNames: true, // error names are part of the machine's contract
    sourcemap: true,
    sourcesContent: false,
    // CommonJS dependencies call require() for Node's own modules, but ES modules have no require.
    banner: { js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  // The files that `builtin:` URIs name.
  cpSync(join(PROJECT_ROOT, 'examples/corpus'), join(outdir, 'examples/corpus'), {
    recursive: true,
    filter: (path) => !/\.(ts|md|gitattributes)$/.test(path),
  });
}
