/**
 * `write-embeddings.ts MODEL TEXTS OUT CHUNKS CHUNK_TOKENS`: wordpieces and mean-pooled embeddings of the texts of a JSON
 * array by the BERT in the directory MODEL, as a safetensors file.
 */
import { readFileSync } from 'node:fs';
import { DirectoryStore, splitUri } from '../../core/storage/index.ts';
import { readWordPieceFiles, wordPieceEncoderInput } from '../../core/tokenizer/encoder-input.ts';
import { bertSpecs } from '../../engine/bert/bert.ts';
import { loadPretrainedBert, pretrainedBertShape } from '../../engine/files/bert-checkpoint.ts';
import { encodeSafetensors } from '../../engine/files/safetensors.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { embeddingsOf } from '../engine/whole-outputs.ts';

const [directory = '', textFile = '', output = '', chunks, chunkTokens] = process.argv.slice(2);
const texts: string[] = JSON.parse(readFileSync(textFile, 'utf8'));
const store = new DirectoryStore(directory);
const shape = await pretrainedBertShape(store);
const input = wordPieceEncoderInput(await readWordPieceFiles(store), {
  chunks: Number(chunks),
  chunkTokens: Number(chunkTokens),
});
const runtime = await createRuntime('onnx', { threads: 1 });
const parameters = await loadPretrainedBert(store, bertSpecs(shape), 1);
const batch = input.batch(texts.map((text) => ({ text })));
const embeddings = await embeddingsOf(runtime, shape, parameters, batch);
await runtime.dispose();

const laidOut = [batch.documents, batch.chunks, batch.length];
const { folder, name } = splitUri(output);
await new DirectoryStore(folder).put(
  name,
  encodeSafetensors([
    ['embeddings', { shape: [batch.documents, shape.width], data: embeddings }],
    ['tokens', { shape: laidOut, data: Float32Array.from(batch.tokens) }],
    ['mask', { shape: laidOut, data: batch.mask }],
  ]),
);
