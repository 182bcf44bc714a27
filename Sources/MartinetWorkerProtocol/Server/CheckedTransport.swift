package import GRPCCore

/// A transport whose calls have a `grpc-timeout` that can be read, or none: the library traps on a negative one.
package struct CheckedTransport<Base: ServerTransport>: ServerTransport {
    package typealias Bytes = Base.Bytes

    private let base: Base

    /// Checks what comes over a transport.
    package init(_ base: Base) {
        self.base = base
    }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await base.listen { stream, context in
            let inbound = stream.inbound.map { part in
                guard case .metadata(let metadata) = part else { return part }
                return .metadata(metadata.withCheckedTimeout)
            }
            await streamHandler(
                RPCStream(
                    descriptor: stream.descriptor, inbound: RPCAsyncSequence(wrapping: inbound),
                    outbound: stream.outbound),
                context)
        }
    }

    package func beginGracefulShutdown() { base.beginGracefulShutdown() }

    package func configure(context: GRPCServerContext) { base.configure(context: context) }
}

extension Metadata {
    private static let timeoutKey = "grpc-timeout"
    /// What a timeout that cannot be read is called from then on.
    package static let unreadableTimeoutKey = "grpc-timeout-unreadable"

    fileprivate var withCheckedTimeout: Metadata {
        guard let text = self[stringValues: Self.timeoutKey].first(where: { _ in true }), timeout == nil else {
            return self
        }
        var metadata = self
        metadata.removeAllValues(forKey: Self.timeoutKey)
        metadata.addString(text, forKey: Self.unreadableTimeoutKey)
        return metadata
    }

    /// How long the client waits: at most eight digits and a unit, as gRPC over HTTP/2 has it.
    package var timeout: Duration? {
        guard let text = self[stringValues: Self.timeoutKey].first(where: { _ in true }) else { return nil }
        let digits = text.utf8.dropLast()
        guard (1...8).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let amount = Int64(text.dropLast())
        else { return nil }
        return switch text.utf8.last {
        case UInt8(ascii: "H"): .seconds(amount * 3600)
        case UInt8(ascii: "M"): .seconds(amount * 60)
        case UInt8(ascii: "S"): .seconds(amount)
        case UInt8(ascii: "m"): .milliseconds(amount)
        case UInt8(ascii: "u"): .microseconds(amount)
        case UInt8(ascii: "n"): .nanoseconds(amount)
        default: nil
        }
    }
}
