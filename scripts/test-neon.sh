#!/usr/bin/env bash
# Builds the kernels for aarch64 and compares the NEON tables with the scalar one under qemu-user, on processors with and
# without products of byte matrices. scripts/bootstrap.sh test installs what it needs. On aarch64 nothing is emulated.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
target=() emulator=()
if [ "$(uname -m)" != aarch64 ]; then
    target=(--target=aarch64-linux-gnu -fuse-ld=lld -static)
    emulator=(qemu-aarch64)
fi
for source in Sources/CMartinetKernels/*.c Tests/KernelTables/main.c; do
    echo "$source"
done | xargs -P 2 -I{} sh -c 'clang "$@" -c "{}" -o "$0/$(basename "{}" .c).o"' \
    "$build" "${target[@]:0:1}" -O1 -DNDEBUG -Wall -Werror -ISources/CMartinetKernels/include
clang "${target[@]}" "$build"/*.o -o "$build/tables" -lm

run() { # run PROCESSOR TABLE...
    local processor=$1
    shift
    timeout 300 "${emulator[@]}" ${emulator:+-cpu "$processor"} "$build/tables" "$@"
}
run max neon-dotprod neon-i8mm
# A processor without i8mm must not get its table.
if [ ${#emulator[@]} -gt 0 ]; then
    run neoverse-n1 neon-dotprod
fi
