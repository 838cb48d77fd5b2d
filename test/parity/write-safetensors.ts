/** `write-safetensors.ts IN OUT`: reads every tensor of a file as float32 and writes it again. */
import { splitUri, storeOpener } from '../../core/storage/index.ts';
import { encodeSafetensors, readSafetensors, type Tensor } from '../../engine/files/safetensors.ts';
import { sizeOf } from '../../engine/parameters.ts';

const [input = '', output = ''] = process.argv.slice(2);
const open = storeOpener();
const [from, to] = [splitUri(input), splitUri(output)];
const tensors = new Map<string, Tensor>();
await readSafetensors(open(from.folder), from.name, (name, shape) => {
  tensors.set(name, { shape, data: new Float32Array(sizeOf(shape)) });
  return tensors.get(name);
});
await open(to.folder).put(to.name, encodeSafetensors(tensors));
