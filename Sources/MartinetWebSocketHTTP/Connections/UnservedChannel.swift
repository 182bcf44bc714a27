internal import NIOCore
internal import Synchronization

/// A channel that waits to be served. NIO stops the program where one is dropped that nobody served, which happens to
/// connections that come while the server ends; this closes it instead.
final class UnservedChannel<Inbound: Sendable, Outbound: Sendable>: Sendable {
    private let channel: NIOAsyncChannel<Inbound, Outbound>
    private let isTaken = Atomic<Bool>(false)

    init(_ channel: NIOAsyncChannel<Inbound, Outbound>) {
        self.channel = channel
    }

    /// The channel, for one who serves it.
    func take() -> NIOAsyncChannel<Inbound, Outbound> {
        isTaken.store(true, ordering: .relaxed)
        return channel
    }

    deinit {
        guard !isTaken.load(ordering: .relaxed) else { return }
        Task { [channel] in try? await channel.executeThenClose { _, _ in } }
    }
}
