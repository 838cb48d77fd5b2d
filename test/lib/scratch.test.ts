/** The script of an instance's user data, with programs of a line each in the place of those that touch disks. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, it } from 'vitest';
import { temporaryFolder } from '../support.ts';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder, 'by-id'));
});

/** Programs and arguments in the order in which they were called, on an instance with so many disks. */
async function calls(disks: number, programs: Record<string, string> = {}): Promise<string[]> {
  const path = (disk: number) => join(folder, 'by-id', `nvme-Amazon_EC2_NVMe_Instance_Storage_AWS${disk}`);
  for (let disk = 0; disk < disks; disk++)
    for (const name of [path(disk), `${path(disk)}_1`]) await writeFile(name, '');
  const all: Record<string, string> = {
    'mkfs.xfs': ':',
    mount: ':',
    mdadm: ':',
    dnf: 'exit 1',
    lsblk: '',
    ...programs,
  };
  const log = join(folder, 'log');
  await writeFile(log, '');
  for (const [name, line] of Object.entries(all)) {
    await writeFile(join(folder, name), `#!/bin/sh\necho ${name} "$@" >> ${log}\n${line}\n`);
    await chmod(join(folder, name), 0o755);
  }
  await promisify(execFile)('sh', ['lib/compute/scratch.sh', join(folder, 'scratch')], {
    env: { ...process.env, PATH: folder + delimiter + process.env.PATH, BY_ID: join(folder, 'by-id') },
  });
  return (await readFile(log, 'utf8')).replaceAll(`${folder}/`, '').split('\n').filter(Boolean);
}

const disk = (n: number) => `by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS${n}`;

it('leaves an instance without disks to its root volume', async () => {
  expect(await calls(0)).toEqual([]);
});

it('mounts the one disk of a small instance', async () => {
  expect(await calls(1)).toEqual([`mkfs.xfs -f ${disk(0)}`, `mount -o noatime ${disk(0)} scratch`]);
});

it('joins several disks', async () => {
  expect(await calls(2)).toEqual([
    `mdadm --create /dev/md0 --run --level=0 --raid-devices=2 ${disk(0)} ${disk(1)}`,
    'mkfs.xfs -f /dev/md0',
    'mount -o noatime /dev/md0 scratch',
  ]);
});

it('takes the largest disk where they cannot be joined, and goes on without where that cannot be mounted', async () => {
  const lsblk = `printf '900 %s\\n1900 %s\\n' "$3" "$4"`;
  const taken = await calls(2, { mdadm: 'exit 1', lsblk, 'mkfs.xfs': 'exit 1' });
  expect(taken.slice(1)).toEqual([`lsblk -dbnro SIZE,PATH ${disk(0)} ${disk(1)}`, `mkfs.xfs -f ${disk(1)}`]);
});
