import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { exampleTexts } from '../../bench/example-texts.ts';
import { wordPieces } from '../../bench/word-pieces.ts';
import { WordPieces } from '../../containers/influence-model/word-pieces.ts';
import { type WordPieceFiles, wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import type { TokenizerJson } from '../../core/tokenizer/tokenizer-json.ts';
import { temporaryFolder } from '../support.ts';

const texts = exampleTexts().slice(0, 40);
const files: WordPieceFiles = { file: 'tokenizer.json', tokenizer: wordPieces(texts, 600) as TokenizerJson };
const shape = { chunks: 2, chunkTokens: 24 };
const input = wordPieceEncoderInput(files, shape);
const plain = (documents: readonly (readonly ArrayLike<number>[])[]) =>
  documents.map((pieces) => pieces.map((ids) => Array.from(ids)));

it('threads make the pieces that the encoder would have read without them, asked for twice at once', async () => {
  const some = ['', 'a', ...texts];
  const expected = plain(some.map((text) => input.pieces({ text })));
  expect(Math.max(...expected.map((pieces) => pieces.length))).toBe(2);
  const wordPieces = new WordPieces({ files, ...shape }, 4);
  const [all, few] = await Promise.all([wordPieces.of(some), wordPieces.of(some.slice(0, 2))]);
  expect(plain(all)).toEqual(expected);
  expect(plain(few)).toEqual(expected.slice(0, 2));
});

it('words of any script are cut as in a corpus', () => {
  const vocab = Object.fromEntries(['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'привет', '!'].map((word, id) => [word, id]));
  const normalizer = { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'Lowercase' }] };
  const model = { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', vocab };
  const words = { pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null };
  const tokenizer: TokenizerJson = { added_tokens: [], normalizer, ...words, model };
  const { pieces } = wordPieceEncoderInput({ file: 'tokenizer.json', tokenizer }, shape);
  expect(plain([pieces({ text: 'Привет! Привет' })])).toEqual([[[2, 4, 5, 4, 3]]]);
});

it('threads that cannot read the tokenizer fail with its reason', async () => {
  const broken = { ...files, tokenizer: {} as TokenizerJson };
  await expect(new WordPieces({ files: broken, ...shape }, 2).of(texts)).rejects.toThrow(/^tokenizing thread 1 of 1/);
});

it('in a bundle, threads start from the chunk beside it, and idle they do not keep the process', async () => {
  const folder = await temporaryFolder();
  const source = `
    import { WordPieces } from './containers/influence-model/word-pieces.ts';
    const setup = ${JSON.stringify({ files, ...shape })};
    const documents = await new WordPieces(setup, 3).of(${JSON.stringify(texts)});
    console.log(JSON.stringify(documents.map((pieces) => pieces.map((ids) => Array.from(ids)))));`;
  const shared = { outdir: folder, bundle: true, platform: 'node', format: 'esm' } as const;
  await build({ ...shared, stdin: { contents: source, resolveDir: process.cwd(), sourcefile: 'main.ts' } });
  await build({
    ...shared,
    entryPoints: { 'word-pieces-worker': 'containers/influence-model/word-pieces-worker.ts' },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, 'stdin.js')]);
  expect(JSON.parse(stdout)).toEqual(plain(texts.map((text) => input.pieces({ text }))));
});
