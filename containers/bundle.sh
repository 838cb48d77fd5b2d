#!/bin/sh
# Makes the folder that both images run, from the sources and node_modules of the current folder: the jobs as
# JavaScript, with shared code in a chunk of its own, and ONNX Runtime's library for this machine's kind of processor
# (the package brings every platform's).
#
# usage: containers/bundle.sh FOLDER
set -eu
out=$1

# The output lies two levels deep, because `builtin:` URIs resolve to ../../examples from the module that opens them.
# The workers lie beside the chunks that start them. The banner renames its import because dependencies import
# `createRequire` under its own name.
node_modules/.bin/esbuild main=containers/main.ts training-worker=engine/data-parallel/worker.ts \
  word-pieces-worker=containers/influence-model/word-pieces-worker.ts \
  packing-worker=core/corpus/packing/packing-worker.ts --bundle --splitting --platform=node --format=esm --target=node22 \
  --main-fields=module,main --external:onnxruntime-node --outdir="$out/dist/jobs" --log-level=warning \
  --banner:js="import { createRequire as requireFrom } from 'node:module';const require = requireFrom(import.meta.url);"
printf '{ "type": "module" }\n' > "$out/package.json"

ort=node_modules/onnxruntime-node
library=$ort/bin/napi-v6/linux/$(node -p process.arch)
mkdir -p "$out/$library"
cp "$library"/* "$out/$library/"
cp -R "$ort/package.json" "$ort/dist" "$ort/README.md" "$out/$ort/"
cp -R node_modules/onnxruntime-common "$out/node_modules/"
find "$out/node_modules" -name '*.map' -delete

mkdir "$out/examples"
cp -R examples/corpus "$out/examples/"
mkdir "$out/bin"
cp containers/mates-job containers/train "$out/bin/"
chmod 755 "$out/bin/mates-job" "$out/bin/train"
