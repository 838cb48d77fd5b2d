"""Takes from a TensorFlow wheel the files that tfjs-node's addon is compiled with and linked to: two libraries and the
headers that its sources reach. tfjs-node's own installer would fetch libtensorflow 2.9.1, for CUDA 11.

usage: unpack_libtensorflow.py WHEEL TFJS_NODE_FOLDER
"""

import re
import shutil
import sys
import zipfile
from pathlib import Path

HEADERS = "tensorflow/include/"
LIBRARIES = {
    # name in the wheel: names that the linker and tfjs-node look for
    "libtensorflow_cc.so.2": ("libtensorflow.so", "libtensorflow.so.2", "libtensorflow.so.2.9.1"),
    "libtensorflow_framework.so.2": ("libtensorflow_framework.so", "libtensorflow_framework.so.2.9.1"),
}


def main(wheel_path: str, package_path: str) -> None:
    package = Path(package_path)
    deps = package / "deps"
    with zipfile.ZipFile(wheel_path) as wheel:
        for library, links in LIBRARIES.items():
            extract(wheel, f"tensorflow/{library}", deps / "lib" / library)
            for link in links:
                (deps / "lib" / link).symlink_to(library)
        for header in reachable_headers(wheel, package / "binding"):
            extract(wheel, HEADERS + header, deps / "include" / header)


def reachable_headers(wheel: zipfile.ZipFile, sources: Path) -> set[str]:
    names = set(wheel.namelist())
    found: set[str] = set()
    open_ends = [header for source in sources.iterdir() for header in includes(source.read_text())]
    while open_ends:
        header = open_ends.pop()
        if header in found or HEADERS + header not in names:
            continue
        found.add(header)
        open_ends += includes(wheel.read(HEADERS + header).decode())
    return found


def includes(text: str) -> list[str]:
    return re.findall(r'#include "([^"]+)"', text)


def extract(wheel: zipfile.ZipFile, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(name) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 22)


if __name__ == "__main__":
    main(*sys.argv[1:])
