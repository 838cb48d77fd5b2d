#!/usr/bin/env bash
# A stand-in for node:<version>-bookworm-slim, made without a container engine or an image registry: Debian by
# debootstrap, Node and npm from the npm registry.
#
# usage: make-base.sh NODE_VERSION IMAGE          needs root, debootstrap, buildah, npm
set -euo pipefail
node_version=$1 image=$2
export STORAGE_DRIVER=${STORAGE_DRIVER:-overlay} BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
# The newest npm that this line of Node is released with; npm 11 is not needed to read the lock file.
npm_version=10.9.4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" > "$work/log" 2>&1 ||
  { tail "$work/log"; exit 1; }
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}

unpack() { # PACKAGE@VERSION FOLDER
  mkdir "$work/$2"
  tar xzf "$work/$(cd "$work" && npm pack --silent "$1")" -C "$work/$2" --strip-components 1
}
unpack "node-linux-$(node -p process.arch)@$node_version" node
unpack "npm@$npm_version" npm
install -D "$work/node/bin/node" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
mv "$work/npm" "$root/usr/local/lib/node_modules/npm"
for command in npm npx; do
  chmod +x "$root/usr/local/lib/node_modules/npm/bin/$command-cli.js"
  ln -s "../lib/node_modules/npm/bin/$command-cli.js" "$root/usr/local/bin/$command"
done
# As the official image has it; the jobs run as this user.
chroot "$root" groupadd --gid 1000 node
chroot "$root" useradd --uid 1000 --gid node --shell /bin/bash --create-home node
# A host behind a proxy with its own certificate authority can then still install packages in RUN.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"

container=$(buildah from scratch)
buildah copy --quiet "$container" "$root" / > /dev/null
buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt --cmd node "$container"
buildah commit --quiet "$container" "$image" > /dev/null
buildah rm "$container" > /dev/null
