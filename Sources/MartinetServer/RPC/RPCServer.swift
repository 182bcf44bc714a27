internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Logging
internal import MartinetWorkerProtocol
internal import NIOCertificateReloading
internal import NIOCore
internal import ServiceLifecycle

/// A port of gRPC that cannot be had.
package struct RPCListenError: Error, CustomStringConvertible {
    /// Which, and why.
    package let description: String
}

/// The gRPC services on a port of their own.
package struct RPCServer: ServiceLifecycle.Service {
    private let transport: HTTP2ServerTransport.Posix
    private let server: GRPCServer<CheckedTransport<HTTP2ServerTransport.Posix>>
    private let certificates: TimedCertificateReloader?
    private let wantedPort: Int

    /// Describes a server; ``run()`` makes it listen.
    ///
    /// - Parameter tls: certificates, which are read again when they change; `nil` speaks in the clear.
    /// - Throws: where the host's name has no address, or certificates cannot be used.
    init(
        host: String, port: Int, tls: ServerConfiguration.TLS?, maxMessageBytes: Int,
        services: [any RegistrableRPCService], logger: Logger
    ) throws {
        certificates = try tls.map { tls in
            try .makeReloaderValidatingSources(
                refreshInterval: .seconds(10),
                certificateSource: .init(location: .file(path: tls.certificate), format: .pem),
                privateKeySource: .init(location: .file(path: tls.key), format: .pem), logger: logger)
        }
        wantedPort = port
        let address = try NIOCore.SocketAddress.makeAddressResolvingHost(host, port: port)
        let ip = address.ipAddress ?? host
        transport = HTTP2ServerTransport.Posix(
            address: ip.contains(":") ? .ipv6(host: ip, port: port) : .ipv4(host: ip, port: port),
            transportSecurity: try certificates.map { certificates in
                try .tls(certificateReloader: certificates) { config in
                    config.requireALPN = true
                    guard let path = tls?.clientAuthorities else { return }
                    config.clientCertificateVerification = .noHostnameVerification
                    config.trustRoots = .certificates([.file(path: path, format: .pem)])
                }
            } ?? .plaintext,
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
        async let _: Void? = certificates?.run()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await server.serve()
                } catch let error as RuntimeError {
                    guard let cause = error.cause as? IOError else { throw error }
                    let reason = cause.errnoCode == EADDRINUSE ? "another program has it" : "\(cause)"
                    throw RPCListenError(
                        description:
                            "gRPC cannot listen on port \(wantedPort): \(reason). Choose another with --grpc-port.")
                }
            }
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
