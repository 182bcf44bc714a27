import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import MartinetWorkerProtocol
import SwiftProtobuf

/// A frontend that says whatever a test wants.
func withRawFrontend(
    _ server: WorkerServer,
    _ body: @Sendable @escaping (WireWorker.Client<HTTP2ClientTransport.Posix>) async throws -> Void
) async throws {
    guard case .unix(let path) = server.address else { throw Timeout(description: "a Unix socket is needed") }
    try await withGRPCClient(
        transport: .http2NIOPosix(
            target: .unixDomainSocket(path: path, authority: "localhost"), transportSecurity: .plaintext)
    ) { client in
        try await body(WireWorker.Client(wrapping: client))
    }
}

/// A worker that says whatever a test wants.
struct RawWorker: WireWorker.SimpleServiceProtocol {
    typealias Script =
        @Sendable (RPCAsyncSequence<WireFrontendMessage, any Error>, RPCWriter<WireWorkerMessage>) async throws -> Void

    var script: Script

    func describe(
        request: WireDescribeRequest, response: RPCWriter<WireDescribeResponse>, context: ServerContext
    ) async throws {
        try await response.write(
            .with {
                $0.chunk.name = "../outside"
                $0.chunk.data = Data("text".utf8)
            })
    }

    func connect(
        request: RPCAsyncSequence<WireFrontendMessage, any Error>, response: RPCWriter<WireWorkerMessage>,
        context: ServerContext
    ) async throws {
        try await script(request, response)
    }

    static var description: WireDescription {
        var description = WireDescription()
        description.protocolVersion = UInt32(WorkerProtocol.version)
        description.vocabularySize = 100
        description.maxModelLength = 64
        description.maxWaiting = 8
        return description
    }

    static let hello = WireWorkerMessage.with { $0.hello = description }

    /// Runs a worker of this script for as long as the body runs.
    static func run(_ script: @escaping Script, _ body: @Sendable @escaping (WorkerAddress) async throws -> Void)
        async throws
    {
        let path = WorkerHarness.socketPath()
        defer { unlink(path) }
        try await withGRPCServer(
            transport: .http2NIOPosix(address: .unixDomainSocket(path: path), transportSecurity: .plaintext),
            services: [RawWorker(script: script)]
        ) { server in
            _ = try await server.listeningAddress
            try await body(.unix(path: path))
        }
    }
}
