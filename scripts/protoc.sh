#!/usr/bin/env bash
# Generates the Swift code of Protos/ anew. Needs protoc (Debian: protobuf-compiler). The generated code is committed,
# so that a build needs neither.
set -euo pipefail
cd "$(dirname "$0")/.."
# The generators are products of packages that the manifest names anyway.
for plugin in protoc-gen-swift protoc-gen-grpc-swift-2; do
    swift build -c release --product "$plugin"
done
out=Sources/MartinetWorkerProtocol/Generated
proto=martinet/worker/v1/worker.proto
protoc --proto_path Protos \
    --plugin .build/release/protoc-gen-swift --plugin .build/release/protoc-gen-grpc-swift-2 \
    --swift_opt FileNaming=DropPath,Visibility=Package,UseAccessLevelOnImports=true --swift_out "$out" \
    --grpc-swift-2_opt FileNaming=DropPath,Visibility=Package,UseAccessLevelOnImports=true \
    --grpc-swift-2_out "$out" "$proto"
