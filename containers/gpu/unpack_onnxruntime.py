"""Takes the CUDA provider from an onnxruntime-gpu wheel, for use with onnxruntime-node's library. The interface between
the two is private to a build, so both must come from the same commit.

usage: unpack_onnxruntime.py WHEEL LIBONNXRUNTIME OUT_FOLDER
"""

import re
import shutil
import sys
import zipfile
from pathlib import Path

PROVIDERS = ("libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so")


def main(wheel_path: str, library: str, out: str) -> None:
    folder = Path(out)
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel_path) as wheel:
        core = next(name for name in wheel.namelist() if re.search(r"capi/libonnxruntime\.so\.\d", name))
        theirs = commit(wheel.read(core))
        ours = commit(Path(library).read_bytes())
        if theirs != ours:
            sys.exit(f"{wheel_path} was built from commit {theirs}, onnxruntime-node from {ours}")
        for provider in PROVIDERS:
            with wheel.open(f"onnxruntime/capi/{provider}") as source, (folder / provider).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 22)


def commit(library: bytes) -> str:
    return re.search(rb"git-commit-id=(\w+)", library).group(1).decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
