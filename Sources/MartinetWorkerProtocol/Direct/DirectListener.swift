internal import NIOCore
internal import NIOPosix

/// Beside a worker's Unix socket for gRPC, the one for ``DirectChannel``s: its path with `.d` behind it.
enum DirectListener {
    /// Where the direct connections of a worker at an address are made; `nil` where there are none.
    static func address(beside address: WorkerAddress) -> WorkerAddress? {
        guard case .unix(let path) = address else { return nil }
        return try? .unix(checking: path + ".d")
    }

    /// Listens until the task is cancelled.
    ///
    /// - Parameters:
    ///   - descriptor: the socket, which is closed at the end.
    ///   - accept: takes a new connection's channel, on its event loop, and says what handles its messages.
    static func run(
        _ descriptor: Int32, accept: @escaping @Sendable (any Channel) throws -> any ChannelHandler
    ) async throws {
        let server = try await ServerBootstrap(group: LoopExecutor.server.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(try accept(channel))
                }
            }
            .withBoundSocket(descriptor).get()
        await withTaskCancellationHandler {
            try? await server.closeFuture.get()
        } onCancel: {
            server.close(promise: nil)
        }
    }
}
