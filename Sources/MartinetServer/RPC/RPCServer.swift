internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Logging
internal import MartinetInferenceProtocol
internal import NIOCore
internal import ServiceLifecycle

/// The gRPC services on a port of their own.
package struct RPCServer: ServiceLifecycle.Service {
    private let transport: HTTP2ServerTransport.Posix
    private let server: GRPCServer<CheckedTransport<HTTP2ServerTransport.Posix>>

    /// Describes a server; ``run()`` makes it listen.
    ///
    /// - Throws: where the host's name has no address.
    init(host: String, port: Int, maxMessageBytes: Int, services: [any RegistrableRPCService]) throws {
        let address = try NIOCore.SocketAddress.makeAddressResolvingHost(host, port: port)
        let ip = address.ipAddress ?? host
        transport = HTTP2ServerTransport.Posix(
            address: ip.contains(":") ? .ipv6(host: ip, port: port) : .ipv4(host: ip, port: port),
            transportSecurity: .plaintext,
            config: .defaults { config in
                config.rpc.maxRequestPayloadSize = maxMessageBytes
                config.http2.maxConcurrentStreams = 1024
                // Who has gone without a word is noticed; who asks more often than this is sent away.
                config.connection.keepalive.time = .seconds(60)
                config.connection.keepalive.timeout = .seconds(20)
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
                config.connection.keepalive.clientBehavior.allowWithoutCalls = true
                config.connection.maxIdleTime = .seconds(3600)
            })
        server = GRPCServer(transport: CheckedTransport(transport), services: services)
    }

    /// Where it listens, when it does; `nil` where it could not.
    package var port: Int? {
        get async {
            guard let address = try? await transport.listeningAddress else { return nil }
            return address.ipv4?.port ?? address.ipv6?.port
        }
    }

    /// Serves until the process shuts down or the task is cancelled.
    ///
    /// - Throws: where the port cannot be had.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            group.addTask {
                try await gracefulShutdown()
                // Requests have ended when it comes to this; who watches or holds a connection open gets a moment.
                server.beginGracefulShutdown()
                try await Task.sleep(for: .seconds(2))
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
