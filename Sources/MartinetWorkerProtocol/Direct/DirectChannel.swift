#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif
internal import NIOCore
internal import Synchronization

/// A Unix socket that carries the protocol's messages between two processes of one machine, each behind its length in
/// four bytes, least significant first.
///
/// It is written from whichever thread has something to say, without a hop to another: between steps that use every
/// core, each thread that must wake and each page of code that must come back into the cache is time to the first token.
final class DirectChannel: Sendable {
    private struct State {
        /// A duplicate of the channel's, so that it is ours to close; -1 when closed.
        var descriptor: Int32
        /// What the socket did not take.
        var rest: [UInt8] = []
        /// Whether the channel writes, on its event loop: then nobody else may.
        var isBlocked = false
    }

    private let state: Mutex<State>
    private let channel: any Channel
    private let onWritable = Mutex<(@Sendable () -> Void)?>(nil)

    /// Takes a channel that has just become active; on its event loop.
    ///
    /// - Throws: where the system gives no descriptor.
    init(_ channel: any Channel) throws {
        self.channel = channel
        let descriptor = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { dup($0) }
        guard let descriptor, descriptor >= 0 else {
            throw WorkerProtocolError(.socketFailed, "A Unix socket could not be written to: too many open files.")
        }
        state = Mutex(State(descriptor: descriptor))
    }

    deinit { closeDescriptor() }

    /// Whether what was sent last still waits for the peer to read.
    var isBlocked: Bool { state.withLock(\.isBlocked) }

    /// Calls something, on the event loop, whenever the peer has read what it let wait.
    func whenWritable(_ body: @escaping @Sendable () -> Void) { onWritable.withLock { $0 = body } }

    /// Sends messages as frames, from any thread and in the order of the calls.
    func send(_ frames: [UInt8]) {
        let blocks = state.withLock { state in
            guard state.descriptor >= 0 else { return false }
            let sent = state.isBlocked ? 0 : Self.write(frames, to: state.descriptor)
            guard sent < frames.count else { return false }
            state.rest += frames[sent...]
            defer { state.isBlocked = true }
            return !state.isBlocked
        }
        if blocks { channel.eventLoop.execute { [self] in writeRest() } }
    }

    private func writeRest() {
        let rest = state.withLock { state in
            defer { state.rest = [] }
            return state.rest
        }
        channel.writeAndFlush(ByteBuffer(bytes: rest)).whenComplete { [self] result in
            let isFree = state.withLock { state in
                // After a failure nothing more is sent: the channel is about to close.
                if case .failure = result { return false }
                state.isBlocked = !state.rest.isEmpty
                return !state.isBlocked
            }
            if isFree { onWritable.withLock(\.self)?() } else if case .success = result { writeRest() }
        }
    }

    /// How many bytes the socket took.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int {
        var sent = 0
        bytes.withUnsafeBytes { bytes in
            while sent < bytes.count {
                let count = sendBytes(
                    descriptor, bytes.baseAddress?.advanced(by: sent), bytes.count - sent,
                    withoutWaiting)
                if count < 0, errno == EINTR { continue }
                // Where the peer is gone, the channel finds out when it writes the rest.
                guard count > 0 else { return }
                sent += count
            }
        }
        return sent
    }

    /// Closes the connection; what the socket has taken still reaches the peer.
    func close() {
        closeDescriptor()
        channel.close(promise: nil)
    }

    /// Waits until the connection is closed, by whichever side.
    func closed() async {
        try? await channel.closeFuture.get()
        closeDescriptor()
    }

    private func closeDescriptor() {
        let descriptor = state.withLock { state in
            defer { state.descriptor = -1 }
            return state.descriptor
        }
        if descriptor >= 0 { closeFile(descriptor) }
    }
}

// The system's functions, under names that the methods above do not hide.
private let sendBytes: @Sendable (Int32, UnsafeRawPointer?, Int, Int32) -> Int = { send($0, $1, $2, $3) }
private let closeFile: @Sendable (Int32) -> Void = { _ = close($0) }
private let withoutWaiting = Int32(truncatingIfNeeded: Int(MSG_DONTWAIT) | Int(MSG_NOSIGNAL))
