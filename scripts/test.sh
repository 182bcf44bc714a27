#!/usr/bin/env bash
# Builds once, runs the Swift tests, the NEON kernels' and the end-to-end tests, and says at the end how many ran.
set -uo pipefail
cd "$(dirname "$0")/.."
export CI=${CI:-}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0

# The tests' build is the command's build: the same configuration, one after the other in one folder.
swift build -c release </dev/null || exit 1
for model in smollm2 gemma3-270m; do
    .build/release/martinet pull "$model" </dev/null || exit 1
done

# A test that hangs must not take the whole run with it. The tests of engine, fleet and server have processes of their
# own: beside them, tests that compute for a minute would hold every thread that theirs wait for.
swift_test() {
    timeout --kill-after=10 2400 swift test -c release --disable-testable-imports "$@" </dev/null 2>&1 |
        tee -a "$logs/swift" || failed=1
}
swift_test --skip 'MartinetServerTests|MartinetEngineTests|MartinetFleetTests|MartinetWorkerProtocolTests|MartinetUpstreamsTests'
swift_test --filter MartinetEngineTests
swift_test --filter MartinetFleetTests
swift_test --filter 'MartinetServerTests|MartinetWorkerProtocolTests|MartinetUpstreamsTests'
neon_failed=0
scripts/test-neon.sh </dev/null 2>&1 | tee "$logs/neon" || neon_failed=1 failed=1
e2e() { # e2e ENVIRONMENT FOLDER
    timeout --kill-after=10 2400 "$1/bin/python" -m pytest "$2" -q --junitxml="$logs/${1#.venv-}.xml" </dev/null 2>&1 |
        tee -a "$logs/pytest" || failed=1
}
e2e .venv-test e2e
e2e .venv-llama-index e2e/llama_index

# `Test run with 43 tests in 10 suites passed`, and parameterised cases count by their test.
swift_tests=$(grep -oE 'Test run with [0-9]+ tests?' "$logs/swift" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n }')
swift_failed=$(grep -E '^.{0,4}✘ Test .* failed after' "$logs/swift" | grep -cv 'Test run with')
[ -n "$swift_tests" ] || { echo "the Swift tests did not run" >&2; swift_tests=0; failed=1; }
read -r e2e_tests e2e_failed < <(.venv-test/bin/python - "$logs/test.xml" "$logs/llama-index.xml" <<'PY' || echo "0 0"
import sys
import xml.etree.ElementTree as tree
suites = [tree.parse(path).getroot().find("testsuite") for path in sys.argv[1:]]
count = lambda *names: sum(int(suite.get(name)) for suite in suites for name in names)
print(count("tests"), count("failures", "errors"))
PY
)
[ "$e2e_tests" -gt 0 ] || failed=1
# `Kernel tables: 2774 checks passed, 0 failed`, once for each processor; all of them are one test.
neon_checks=$(awk '/^Kernel tables:/ { n += $3 } END { print n + 0 }' "$logs/neon")
[ "$neon_checks" -gt 0 ] || { echo "the tests of the NEON kernels did not run" >&2; neon_failed=1; failed=1; }
echo
# The names again, where the last lines are all that is kept.
grep -E '^.{0,4}✘ Test .* recorded an issue' "$logs/swift" | cut -c1-400
grep -E '^(FAILED|ERROR) ' "$logs/pytest" | cut -c1-400
echo "Swift tests:      $((swift_tests - swift_failed)) passed, $swift_failed failed"
echo "NEON kernels:     $((1 - neon_failed)) passed, $neon_failed failed ($neon_checks checks)"
echo "End-to-end tests: $((e2e_tests - e2e_failed)) passed, $e2e_failed failed"
tests=$((swift_tests + e2e_tests + 1)) tests_failed=$((swift_failed + e2e_failed + neon_failed))
echo "$((tests - tests_failed)) passed, $tests_failed failed"
exit $failed
