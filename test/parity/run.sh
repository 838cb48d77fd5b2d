#!/bin/sh
# Compares this repository with the Python libraries it claims to agree with: makes a virtual environment, runs every
# check (each *.py here but support.py) and prints a table. Exits with 1 when a difference is above its limit.
#
#   test/parity/run.sh [VENV]        default: .venv in the repository's root, which git ignores
set -u
cd "$(dirname "$0")/../.." || exit 1
venv=${1:-.venv}
python=$venv/bin/python

[ -x "$python" ] || python3 -m venv "$venv" || exit 1
"$python" -m pip install --quiet --disable-pip-version-check -r test/parity/requirements.txt || exit 1

results=$(mktemp)
trap 'rm -f "$results"' EXIT
failed=0
for check in test/parity/*.py; do
  [ "$(basename "$check")" = support.py ] && continue
  echo "$check" >&2
  "$python" "$check" >>"$results" || { failed=1; echo "$(basename "$check")|-|-|FAILED" >>"$results"; }
done
printf '\n%-84s %12s %9s  %s\n' comparison difference limit verdict
while IFS='|' read -r what difference limit verdict; do
  printf '%-84s %12s %9s  %s\n' "$what" "$difference" "$limit" "$verdict"
done <"$results"
exit $failed
