#!/usr/bin/env bash
# Builds the kernels for aarch64 and compares the NEON tables with the scalar one under qemu-user, on processors with and
# without products of byte matrices. scripts/bootstrap.sh test installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
for source in Sources/CMartinetKernels/*.c Tests/KernelTables/main.c; do
    echo "$source"
done | xargs -P 2 -I{} sh -c 'clang "$@" -c "{}" -o "$0/$(basename "{}" .c).o"' \
    "$build" --target=aarch64-linux-gnu -O1 -DNDEBUG -Wall -Werror -ISources/CMartinetKernels/include
clang --target=aarch64-linux-gnu -fuse-ld=lld -static "$build"/*.o -o "$build/tables" -lm

run() { # run PROCESSOR TABLE...
    local processor=$1
    shift
    timeout 300 qemu-aarch64 -cpu "$processor" "$build/tables" "$@"
}
run max neon-dotprod neon-i8mm
# An instruction that this processor lacks ends the program.
run neoverse-n1 neon-dotprod
