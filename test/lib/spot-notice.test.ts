/** The script of an instance's user data, with programs of a line each in the place of `curl` and `docker`. */
import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../support.ts';

it('asks until there is a notice, and then signals the containers of jobs once', async () => {
  const folder = await temporaryFolder();
  const program = async (name: string, lines: string) => {
    await writeFile(join(folder, name), `#!/bin/sh\n${lines}\n`);
    await chmod(join(folder, name), 0o755);
  };
  // The first request for the document fails as curl does for a status of 404, the second finds it.
  await program(
    'curl',
    `case "$*" in
        *api/token) echo "$*" | grep -q 'PUT' && echo TOKEN ;;
        *'aws-ec2-metadata-token: TOKEN'*spot/instance-action) echo asked >> ${folder}/asked; [ "$(wc -l < ${folder}/asked)" -eq 2 ] || exit 22 ;;
        *) exit 1 ;;
      esac`,
  );
  await program(
    'docker',
    `if [ "$1" = ps ]; then echo "$*" | grep -q 'label=com.amazonaws.ecs.task-arn' && printf 'one\\ntwo\\n'
       else echo "$*" >> ${folder}/told; fi`,
  );
  const path = folder + delimiter + process.env.PATH;
  await promisify(execFile)('sh', ['lib/compute/spot-notice.sh'], {
    env: { ...process.env, PATH: path, POLL_SECONDS: '0.01' },
  });
  expect(await readFile(join(folder, 'asked'), 'utf8')).toBe('asked\nasked\n');
  expect(await readFile(join(folder, 'told'), 'utf8')).toBe('kill --signal TERM one two\n');
});
