# The commands that people run. `make serve` and `make test` install what is missing, build and go.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MODEL ?= smollm2
PORT ?= 8000
BUILD := .build/release
# One configuration for everything: what serves is what is tested, and nothing is built twice.
SWIFT_TEST := swift test -c release --disable-testable-imports

.PHONY: serve build test sanitize unit e2e bench compare chaos gateway-bench frontend-bench lint format fixtures clean

## serve: build, fetch the model and serve it on port 8000
serve: build
	$(BUILD)/martinet pull $(MODEL)
	exec $(BUILD)/martinet serve $(MODEL) --port $(PORT) $(FLAGS)

## build: the release build of the command
build:
	scripts/bootstrap.sh build
	swift build -c release --product martinet

## test: install what tests need and run all of them
test:
	scripts/bootstrap.sh test
	.venv-test/bin/python scripts/test-data.py
	scripts/test.sh

## sanitize: the engine and the file readers under the address sanitizer
sanitize: build
	scripts/bootstrap.sh test
	.venv-test/bin/python scripts/test-data.py
	$(BUILD)/martinet pull smollm2
	$(BUILD)/martinet pull gemma3-270m
	scripts/sanitize.sh

## unit: the Swift tests alone
unit:
	$(SWIFT_TEST) $(FLAGS)

## e2e: the tests against a real server process alone
e2e: build
	scripts/bootstrap.sh test
	.venv-test/bin/python -m pytest e2e $(FLAGS)

## bench: how fast the engine runs the model here
bench: build
	$(BUILD)/martinet pull $(MODEL)
	$(BUILD)/martinet bench $(MODEL) $(FLAGS)

## compare: the engine and the server beside llama.cpp on this machine (FLAGS=--vllm for vLLM too)
compare: build
	scripts/bootstrap.sh compare
	python3 Benchmarks/compare.py --model $(MODEL) $(FLAGS)

## chaos: workers killed and stopped 100 times while streams run (FLAGS are pytest's)
chaos: build
	scripts/bootstrap.sh test
	MARTINET_CHAOS_KILLS=100 .venv-test/bin/python -m pytest e2e/test_chaos.py -o timeout=3600 $(FLAGS)

## gateway-bench: what the gateway costs, with nginx as upstream and wrk as client
gateway-bench: build
	scripts/bootstrap.sh gateway-bench
	python3 Benchmarks/gateway.py $(FLAGS)

## frontend-bench: what the server costs beside the engine, with wrk as client
frontend-bench: build
	scripts/bootstrap.sh gateway-bench
	python3 Benchmarks/frontend.py $(FLAGS)

## lint: format and style, as .ci/run wants them
lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples

## format: format in place
format:
	swift format --in-place --recursive --parallel Package.swift Sources Tests Examples

## fixtures: make every fixture anew (each script names the packages it needs)
fixtures:
	for script in scripts/fixtures/*.py; do echo "$$script"; python3 "$$script"; done

clean:
	rm -rf .build .venv-test .venv-llama-index
