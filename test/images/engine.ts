/** What builds and runs the images: Docker, Podman, or buildah alone, which needs no daemon and no registry. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export interface RunOptions {
  command: string[];
  environment?: Record<string, string>;
  /** Folders of this machine by where the container sees them. */
  mounts?: Record<string, string>;
}

export interface Ended {
  status: number;
  /** stdout and stderr. */
  output: string;
}

export interface ContainerEngine {
  readonly name: string;
  /** Builds `dockerfile` in the repository's root, showing what it does. @throws Error when it fails */
  build(dockerfile: string, tag: string, args?: Record<string, string>): void;
  run(tag: string, options: RunOptions): Ended;
  /** MB of the image's layers, uncompressed. */
  megabytes(tag: string): number;
}

/** Docker where its daemon answers, else Podman, else buildah. @throws Error saying what to install */
export function containerEngine(): ContainerEngine {
  for (const name of ['docker', 'podman']) if (succeeds(name, ['info'])) return cli(name);
  if (succeeds('buildah', ['--version']) && process.getuid?.() === 0) return buildah();
  throw new Error(
    'test:images needs Docker, Podman, or (as root) buildah and debootstrap: apt install buildah debootstrap',
  );
}

function cli(name: string): ContainerEngine {
  return {
    name,
    build: (dockerfile, tag, args = {}) => show(name, ['build', '-f', dockerfile, '-t', tag, ...buildArgs(args), '.']),
    run: (tag, { command, environment, mounts }) =>
      capture(name, ['run', '--rm', ...runFlags(environment, mounts), tag, ...command]),
    megabytes: (tag) => bytesToMb(capture(name, ['image', 'inspect', '--format', '{{.Size}}', tag]).output),
  };
}

const NODE_VERSION = '22.23.3'; // the Dockerfiles' default base
const BASE_IMAGE = `localhost/mates-base:node-${NODE_VERSION}`;

function buildah(): ContainerEngine {
  process.env.STORAGE_DRIVER ??= 'overlay';
  process.env.BUILDAH_ISOLATION ??= 'chroot';
  return {
    name: 'buildah',
    build: (dockerfile, tag, args = {}) => {
      if (!succeeds('buildah', ['inspect', '--type', 'image', BASE_IMAGE]))
        show('bash', [join(import.meta.dirname, 'make-base.sh'), NODE_VERSION, BASE_IMAGE]);
      const all = buildArgs({ BASE_IMAGE, ...args });
      show('buildah', ['bud', '--layers', '--pull-never', '-f', dockerfile, '-t', `localhost/${tag}`, ...all, '.']);
    },
    run: (tag, { command, environment, mounts }) => {
      const container = capture('buildah', ['from', `localhost/${tag}`]).output.trim();
      try {
        return capture('buildah', ['run', ...runFlags(environment, mounts), container, '--', ...command]);
      } finally {
        capture('buildah', ['rm', container]);
      }
    },
    megabytes: (tag) => {
      const listed = capture('buildah', ['images', '--json', `localhost/${tag}`]).output;
      const [size, unit] = (JSON.parse(listed) as [{ size: string }])[0].size.split(' '); // such as `298 MB`
      return Math.round(Number(size) * (unit === 'GB' ? 1000 : 1));
    },
  };
}

const buildArgs = (args: Record<string, string>) =>
  Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);

const runFlags = (environment: Record<string, string> = {}, mounts: Record<string, string> = {}) => [
  ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
  ...Object.entries(mounts).flatMap(([inside, outside]) => ['--volume', `${outside}:${inside}`]),
];

const bytesToMb = (text: string) => Math.round(Number(text) / 1e6);

export function succeeds(file: string, args: string[]): boolean {
  return spawnSync(file, args, { stdio: 'ignore' }).status === 0;
}

export function capture(file: string, args: string[], env = process.env): Ended {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', env, maxBuffer: 64 << 20 });
  if (error) throw error;
  return { status: status ?? -1, output: `${stdout}${stderr}` };
}

export function show(file: string, args: string[]): void {
  const { status, error } = spawnSync(file, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}
