/** ONNX Runtime's CUDA provider beside a copy of onnxruntime-node, and stubs of what it links to. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';

const HERE = import.meta.dirname;
const PACKAGE = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
const VERSION = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8')).version as string;
const LIBRARIES = 'bin/napi-v6/linux/x64';
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'mates', 'cuda');

/** Downloads once what PyPI has: the provider (250 MB) and NVIDIA's CUDA runtime (2.5 MB). Needs Python's pip, and unzip. */
export function download(): { provider: string; cudart: string } {
  const provider = wheel('onnxruntime', 'onnxruntime-gpu', 'onnxruntime/capi/libonnxruntime*');
  const cudart = wheel('cuda13', 'nvidia-cuda-runtime', 'nvidia/cu13/lib/libcudart.so.13');
  return { provider: join(provider, 'onnxruntime/capi'), cudart: join(cudart, 'nvidia/cu13/lib') };
}

/** The wheel that the GPU image takes: of the same version and hash. */
function wheel(list: string, packageName: string, files: string): string {
  const lines = readFileSync(join(HERE, `../../containers/gpu/${list}-requirements.txt`), 'utf8').split('\n');
  const requirement = lines.find((line) => line.startsWith(`${packageName}==`))!;
  const folder = join(CACHE, requirement.split(' ')[0]!);
  if (existsSync(join(folder, 'complete'))) return folder;
  mkdirSync(folder, { recursive: true });
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, requirement);
  const fixed = ['--python-version', '311', '--implementation', 'cp'];
  const platforms = ['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux_2_17_x86_64', 'manylinux2014_x86_64'];
  const where = platforms.flatMap((platform) => ['--platform', platform]);
  const pip = ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary=:all:', ...fixed, ...where];
  succeed('python3', [...pip, '-d', folder, '-r', requirements]);
  const name = readdirSync(folder).find((file) => file.endsWith('.whl'))!;
  succeed('unzip', ['-qo', name, files, '-d', '.'], folder);
  writeFileSync(join(folder, 'complete'), '');
  return folder;
}

/** The commit that a library of ONNX Runtime was built from: a provider works with the library of its own commit alone. */
export function commitOf(library: string): string | undefined {
  return /git-commit-id=([0-9a-f]+)/.exec(readFileSync(library, 'latin1'))?.[1];
}

/** The library that the provider was built with. */
export const coreLibrary = (provider: string) => join(provider, `libonnxruntime.so.${VERSION}`);
export const npmLibrary = join(PACKAGE, LIBRARIES, 'libonnxruntime.so.1');

/** A folder with the programs of this test, and onnxruntime-node with the provider. */
export function installWithProvider(provider: string, folder: string): void {
  const modules = join(folder, 'node_modules');
  for (const name of ['onnxruntime-node', 'onnxruntime-common'])
    cpSync(join(dirname(PACKAGE), name), join(modules, name), { recursive: true });
  for (const name of ['cuda', 'shared']) {
    const library = `libonnxruntime_providers_${name}.so`;
    symlinkSync(join(provider, library), join(modules, 'onnxruntime-node', LIBRARIES, library));
  }
  bundle(folder);
}

/** The programs alone; they run where onnxruntime-node is. */
export function bundle(folder: string): void {
  buildSync({
    entryPoints: {
      programs: join(HERE, 'programs.ts'),
      'training-worker': join(HERE, '../../engine/data-parallel/worker.ts'),
    },
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    mainFields: ['module', 'main'],
    external: ['onnxruntime-node'],
    banner: { js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);" },
  });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
}

/** `libcuda.so.1` of a machine with a driver and no GPU. */
export function buildDriver(folder: string): string {
  mkdirSync(folder, { recursive: true });
  compile(['-Wl,-soname,libcuda.so.1', '-o', join(folder, 'libcuda.so.1'), join(HERE, 'stub-driver.c')]);
  return folder;
}

const STUBBED = [
  'libcudart.so.13',
  'libcublas.so.13',
  'libcublasLt.so.13',
  'libcurand.so.10',
  'libcuda.so.1',
  'libcudnn.so.9',
];

/** The libraries that the provider links to or loads, without a GPU: all of them, or those of these names. */
export function buildRuntime(provider: string, folder: string, names: readonly string[] = STUBBED): string {
  mkdirSync(folder, { recursive: true });
  const written = readFileSync(join(HERE, 'stub-runtime.c'), 'utf8');
  const path = join(provider, 'libonnxruntime_providers_cuda.so');
  const symbols = undefinedSymbols(path);
  const missing = [...[...symbols.values()].flat(), ...loadedSymbols(path)].filter(
    (name) => !new RegExp(`\\b${name}\\b`).test(written),
  );
  const source = join(folder, 'stub.c');
  writeFileSync(source, `${written}\n${missing.map((name) => `int ${name}(void) { return 0; }`).join('\n')}\n`);
  // The provider asks each library for the versions of its symbols; what is another library's stays hidden.
  const versions = [...symbols].filter(([version]) => names.includes(version));
  const script = versions.map(([version, own]) => `${version} { global: ${own.join('; ')}; };`).join('\n');
  const driver = names.includes('libcuda.so.1') ? 'global: cu[A-Z]*; cudnn*;' : '';
  writeFileSync(join(folder, 'versions'), `${script}\nSTUB { ${driver} local: *; };\n`);
  const library = join(folder, 'libstub.so');
  compile(['-pthread', `-Wl,--version-script=${join(folder, 'versions')}`, '-o', library, source]);
  for (const name of names) symlinkSync('libstub.so', join(folder, name));
  return folder;
}

/** Those of CUDA, by their version; '' for the driver's, which have none. */
function undefinedSymbols(library: string): Map<string, string[]> {
  const { stdout } = succeed('nm', ['-D', '--undefined-only', library]);
  const symbols = new Map<string, string[]>();
  for (const line of stdout.split('\n')) {
    const [, name, version = ''] = /^\s+U (\w+)(?:@(\S+))?$/.exec(line) ?? [];
    const ours = version === '' ? name?.startsWith('cu') : /^libcu/.test(version);
    if (name && ours) symbols.set(version, [...(symbols.get(version) ?? []), name]);
  }
  return symbols;
}

/** Those of cuDNN, which the provider looks up by their names. */
function loadedSymbols(library: string): string[] {
  const names = readFileSync(library, 'latin1').matchAll(/(?<=\0)cudnn[A-Z]\w*(?=\0)/g);
  return [...new Set(Array.from(names, ([name]) => name))];
}

function compile(args: string[]): void {
  succeed(process.env.CC ?? 'cc', ['-O1', '-w', '-shared', '-fPIC', ...args]);
}

function succeed(file: string, args: string[], cwd?: string) {
  const ended = spawnSync(file, args, { encoding: 'utf8', cwd, maxBuffer: 64 << 20 });
  if (ended.error) throw new Error(`${file} cannot be run: ${ended.error.message}`);
  if (ended.status !== 0) throw new Error(`${file} ${args.join(' ')} failed:\n${ended.stdout}${ended.stderr}`);
  return ended;
}
