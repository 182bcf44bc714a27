import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import HummingbirdTesting
import MartinetInferenceProtocol
import MartinetServer
import Testing

typealias RPCTestClient = GRPCClient<HTTP2ClientTransport.Posix>

extension TestServer {
    /// A configuration with gRPC on any free port.
    static var withRPC: ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.grpcPort = 0
        return configuration
    }

    /// Runs the server with a client of its gRPC port and one of its HTTP port.
    func withRPCClient(
        _ body: @escaping @Sendable (RPCTestClient, any TestClientProtocol) async throws -> Void
    ) async throws {
        let rpc = try #require(try server.rpc())
        try await server.application().test(.live) { http in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await rpc.run() }
                let port = try #require(await rpc.port)
                try await withGRPCClient(
                    transport: .http2NIOPosix(
                        target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: .plaintext)
                ) { client in
                    try await body(client, http)
                }
                group.cancelAll()
                // What was cancelled may say so.
                while case .failure? = await group.nextResult() {}
            }
        }
    }

    /// Returns when no stream is open.
    func waitUntilIdle() async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while service.open > 0, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(service.open == 0)
    }
}

extension RPCTestClient {
    /// A call's error.
    func error<Output>(_ call: () async throws -> Output) async -> RPCError? {
        do {
            _ = try await call()
            return nil
        } catch {
            return error as? RPCError
        }
    }
}

extension RPCError {
    /// The fields at fault.
    var fields: [String] {
        let status = try? unpackGoogleRPCStatus()
        return status?.details.flatMap { $0.badRequest?.violations.map(\.field) ?? [] } ?? []
    }
}
