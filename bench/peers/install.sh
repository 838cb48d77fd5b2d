#!/bin/sh
# Installs the programs that the benchmarks compare with, once: Python packages in a virtual environment and, if there
# is a C compiler, unlock.so (see unlock.c). Everything goes into one folder; delete it to uninstall.
#
#   bench/peers/install.sh           ${XDG_CACHE_HOME:-~/.cache}/mates-peers
set -eu
cd "$(dirname "$0")"
peers=${XDG_CACHE_HOME:-$HOME/.cache}/mates-peers
mkdir -p "$peers"

# READY lists what is installed, so that a changed list is installed anew.
if ! cmp -s requirements.txt "$peers/READY"; then
  [ -x "$peers/venv/bin/python" ] || python3 -m venv "$peers/venv"
  "$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt
  cp requirements.txt "$peers/READY"
fi
# Not needed on Intel's processors, where the library is fast as it is.
if ! grep -q GenuineIntel /proc/cpuinfo && command -v "${CC:-cc}" >/dev/null; then
  "${CC:-cc}" -shared -fPIC -O2 -o "$peers/unlock.so" unlock.c
fi
echo "Installed in $peers"
