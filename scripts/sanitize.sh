#!/usr/bin/env bash
# The engine and the file readers under the address sanitizer, in a debug build of the part below the server.
#
# The thread sanitizer is no use here: it does not know the standard library's Mutex on Linux and reports a race at each
# of its uses. The thread team, which has atomics only, runs under it: `scripts/sanitize.sh thread`.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-address}
case $kind in
address) filter='MartinetModelFormatsTests|MartinetTensorsTests.ThreadTeam|MartinetEngineTests.(BlockPool|Scheduler|StopText|Sampler|EngineTests)|MartinetFleetTests.(WorkerPoolTests|RoutingPolicyTests|CircuitBreakerTests)' ;;
thread) filter='MartinetTensorsTests.ThreadTeam' ;;
*) echo "usage: scripts/sanitize.sh [address|thread]" >&2; exit 64 ;;
esac
# XCTest itself leaks two small objects at its start.
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
echo 'leak:libXCTest.so' > "$suppressions"
LSAN_OPTIONS=suppressions=$suppressions:print_suppressions=0 MARTINET_CORE=1 \
    timeout --kill-after=10 1800 swift test --sanitize="$kind" --scratch-path ".build-$kind" --filter "$filter" </dev/null
