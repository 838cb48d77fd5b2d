import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { loadConfigFile } from '../../bin/load-config.ts';
import { InputError } from '../../core/errors.ts';
import { absolute, storeOpener } from '../../core/storage/index.ts';

it.each([
  ['a path', 'out/a b', resolve('out/a b')],
  ['a file: URI', 'file:///tmp/a%20b', '/tmp/a b'],
  ['an S3 URI', 's3://bucket/a', 's3://bucket/a'],
  ['a file of this package', 'builtin:corpus', 'builtin:corpus'],
])('%s on the command line is absolute', (_, given, expected) => {
  expect(absolute(given)).toBe(expected);
});

it('a file: URI of another host is refused with the remedy', () => {
  for (const open of [absolute, storeOpener()]) {
    expect(() => open('file://tmp/run')).toThrow(InputError);
    expect(() => open('file://tmp/run')).toThrow(
      /^file:\/\/tmp\/run: no file of this machine .* write file:\/\/\/PATH/,
    );
  }
});

it('a configuration may be named by its file: URI', async () => {
  const path = resolve('examples/quickstart.json');
  expect(await loadConfigFile(pathToFileURL(path).href)).toEqual(await loadConfigFile(path));
});
