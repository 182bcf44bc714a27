internal import NIOCore
internal import NIOPosix

/// Connects to a worker's direct socket.
enum DirectConnector {
    /// The connection; `nil` where there is no such socket, or nobody behind it: then the worker is asked by gRPC.
    static func connect(_ address: WorkerAddress, _ link: WorkerLink) async -> DirectChannel? {
        guard case .unix(let path) = DirectListener.address(beside: address) else { return nil }
        let direct = try? await ClientBootstrap(group: LoopExecutor.client.group)
            .connect(unixDomainSocketPath: path) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let direct = try DirectChannel(channel)
                    try channel.pipeline.syncOperations.addHandler(
                        FrameHandler<WireWorkerMessage>(maxBytes: WorkerProtocol.maxWorkerMessageBytes) {
                            try link.receive($0)
                        } onEnd: {
                            link.directFailure = $0
                        })
                    return direct
                }
            }
        if let direct { link.attach(direct) }
        return direct
    }
}
