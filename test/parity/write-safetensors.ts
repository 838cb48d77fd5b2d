/** `write-safetensors.ts IN OUT`: reads every tensor of a file as float32 and writes it again. */
import { readFileSync, writeFileSync } from 'node:fs';
import { encodeSafetensors, SafetensorsFile } from '../../engine/safetensors.ts';

const [input = '', output = ''] = process.argv.slice(2);
const file = new SafetensorsFile(readFileSync(input), input);
const tensors = file.names().map((name) => [name, { shape: file.shape(name), data: file.float32(name) }] as const);
writeFileSync(output, encodeSafetensors(tensors));
