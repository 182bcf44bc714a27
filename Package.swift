// swift-tools-version: 6.2
import PackageDescription

// `MARTINET_CORE=1 swift test` builds the part below the server alone: no networking packages, seconds instead of
// minutes. It is what the sanitizer jobs use, and what a program that embeds the engine needs.
let coreOnly = Context.environment["MARTINET_CORE"] != nil

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
    // Tests read fixtures by their path; they are no resources.
    .testTarget(
        name: name, dependencies: dependencies, exclude: fixtures ? ["Fixtures"] : [], swiftSettings: swiftSettings)
}

var products: [Product] = [
    .library(name: "MartinetEngine", targets: ["MartinetEngine"]),
    .executable(name: "embed", targets: ["EmbedExample"]),
]
var dependencies: [Package.Dependency] = []
var targets: [Target] = [
    .target(name: "CMartinetKernels", cSettings: [.define("NDEBUG")]),
    module("MartinetTensors", ["CMartinetKernels"]),
    module("MartinetModelFormats", ["MartinetTensors"]),
    module("MartinetTokenizers"),
    module("MartinetJSON"),
    module("MartinetTemplates", ["MartinetJSON"]),
    // What output must match: schemas, expressions and grammars, as masks over a vocabulary.
    module("MartinetGrammars", ["MartinetJSON"]),
    module(
        "MartinetModels",
        ["CMartinetKernels", "MartinetTensors", "MartinetModelFormats", "MartinetTokenizers", "MartinetTemplates"]),
    module(
        "MartinetEngine",
        ["CMartinetKernels", "MartinetGrammars", "MartinetModels", "MartinetTokenizers", "MartinetTemplates"]),
    module("MartinetFleet", ["MartinetEngine"]),
    module(
        "MartinetAPI",
        ["MartinetEngine", "MartinetGrammars", "MartinetJSON", "MartinetTokenizers", "MartinetTemplates"]),
    module("MartinetBenchmarks"),
    .executableTarget(
        name: "EmbedExample", dependencies: ["MartinetEngine"], path: "Examples/Embed", swiftSettings: swiftSettings),
    module(
        "MartinetTestKit",
        ["MartinetEngine", "MartinetModels", "MartinetModelFormats", "MartinetTensors", "MartinetTokenizers"]),
    tests("MartinetTensorsTests", ["MartinetTensors", "CMartinetKernels"], fixtures: true),
    tests(
        "MartinetModelFormatsTests", ["MartinetModelFormats", "MartinetTensors", "MartinetTestKit"], fixtures: true),
    tests("MartinetTokenizersTests", ["MartinetTokenizers", "MartinetModels", "MartinetTestKit"], fixtures: true),
    tests("MartinetGrammarsTests", ["MartinetGrammars", "MartinetJSON"]),
    tests("MartinetTemplatesTests", ["MartinetTemplates", "MartinetTestKit"], fixtures: true),
    tests("MartinetModelsTests", ["MartinetModels", "MartinetTestKit", "CMartinetKernels"]),
    tests("MartinetEngineTests", ["MartinetEngine", "MartinetGrammars", "MartinetTokenizers", "MartinetTestKit"]),
    tests("MartinetFleetTests", ["MartinetFleet", "MartinetGrammars", "MartinetTestKit"]),
    tests("MartinetAPITests", ["MartinetAPI", "MartinetGrammars", "MartinetJSON"]),
    tests("MartinetBenchmarksTests", ["MartinetBenchmarks"]),
]

if !coreOnly {
    products.append(.executable(name: "martinet", targets: ["martinet"]))
    dependencies += [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-http2.git", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2.git", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport.git", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf.git", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf.git", from: "1.39.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
    ]
    targets += [
        module("MartinetTelemetry", [.product(name: "Logging", package: "swift-log")]),
        // What outlives the process: one SQLite database and a folder of files.
        module("MartinetStorage", [.product(name: "GRDB", package: "GRDB.swift")]),
        // HTTP/1.1, HTTP/2 and WebSocket on one port, under Hummingbird; knows nothing of language models.
        module(
            "MartinetWebSocketHTTP",
            [
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP2", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ]),
        module(
            "MartinetServer",
            [
                "MartinetAPI", "MartinetEngine", "MartinetFleet", "MartinetGrammars", "MartinetJSON", "MartinetModels",
                "MartinetStorage", "MartinetTelemetry", "MartinetTemplates", "MartinetTokenizers", "MartinetUpstreams",
                "MartinetInferenceProtocol", "MartinetWebSocketHTTP", "MartinetWorkerProtocol",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "NIOCertificateReloading", package: "swift-nio-extras"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        // What clients speak over gRPC, generated from `Protos/`.
        module(
            "MartinetInferenceProtocol",
            [
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        // The engine behind a socket: the gRPC schema of `Protos/`, its server and its client.
        module(
            "MartinetWorkerProtocol",
            [
                "MartinetEngine", "MartinetGrammars", "MartinetModels",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        // OpenAI-compatible servers as members of a pool.
        module(
            "MartinetUpstreams",
            [
                "MartinetFleet", "MartinetAPI", "MartinetJSON",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        // Model downloads: the only part that talks to hubs and package indexes.
        module(
            "MartinetDownloads",
            [
                "MartinetModelFormats",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        .executableTarget(
            name: "martinet",
            dependencies: [
                "MartinetServer", "MartinetEngine", "MartinetModels", "MartinetModelFormats", "MartinetDownloads",
                "MartinetBenchmarks", "MartinetFleet", "MartinetGrammars", "MartinetStorage", "MartinetTemplates",
                "MartinetUpstreams", "MartinetWebSocketHTTP", "MartinetWorkerProtocol",
                .product(name: "Yams", package: "Yams"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings),
        tests(
            "MartinetWorkerProtocolTests",
            [
                "MartinetWorkerProtocol", "MartinetGrammars", "MartinetModels", "MartinetTestKit",
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], fixtures: true),
        tests(
            "MartinetUpstreamsTests",
            [
                "MartinetUpstreams", "MartinetFleet", "MartinetJSON",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests("MartinetTelemetryTests", ["MartinetTelemetry"]),
        tests("MartinetStorageTests", ["MartinetStorage"]),
        tests(
            "MartinetDownloadsTests",
            [
                "MartinetDownloads", "MartinetModelFormats",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        tests(
            "MartinetServerTests",
            [
                "MartinetServer", "MartinetAPI", "MartinetFleet", "MartinetInferenceProtocol", "MartinetStorage",
                "MartinetTelemetry", "MartinetTestKit", "MartinetWebSocketHTTP",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "GRPCCore", package: "grpc-swift-2"),
                .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
                .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
            ]),
        tests(
            "MartinetWebSocketHTTPTests",
            [
                "MartinetWebSocketHTTP",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ]),
    ]
}

let package = Package(
    name: "martinet",
    products: products,
    dependencies: dependencies,
    targets: targets,
    swiftLanguageModes: [.v6]
)
