internal import Foundation
internal import Hummingbird
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

/// The file of a Unix socket: from before it is listened on until after.
struct UnixSocketFile: Sendable {
    let path: String

    /// Takes a path.
    ///
    /// - Throws: `IOError` `EADDRINUSE` where another server listens there. The socket of one that died is no hindrance;
    ///   a file that is no socket is.
    init(_ path: String) throws {
        self.path = path
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw UnixSocketError(description: "\(path) is there and is no socket; it stays as it is.")
        }
        guard !isAnswered() else {
            throw UnixSocketError(description: "Another server listens on \(path).")
        }
    }

    private func isAnswered() -> Bool {
        let client = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(unixDomainSocketPath: path)
        guard let channel = try? client.wait() else { return false }
        channel.close(promise: nil)
        return true
    }

    /// Lets the user and the group connect, and nobody else.
    func allowGroup() { chmod(path, 0o660) }

    func remove() { unlink(path) }
}

/// A Unix socket that cannot be listened on.
public struct UnixSocketError: Error, CustomStringConvertible {
    /// Which, and why.
    public let description: String
}

/// Listens on a Unix socket and removes its file at the end.
struct UnixSocketListener: ServiceLifecycle.Service {
    let file: UnixSocketFile
    let application: any ApplicationProtocol

    func run() async throws {
        defer { file.remove() }
        try await application.run()
    }
}

/// Waits until all of a server's listeners listen.
final class ListenerReadiness: Sendable {
    private let state: Mutex<(count: Int, port: Int)>
    private let action: @Sendable (Int) async -> Void

    init(count: Int, _ action: @escaping @Sendable (Int) async -> Void) {
        state = Mutex((count, 0))
        self.action = action
    }

    /// One more listens, on a port where it has one.
    func mark(port: Int?) async {
        let ready: Int? = state.withLock { state in
            state.count -= 1
            if let port { state.port = port }
            return state.count == 0 ? state.port : nil
        }
        if let ready { await action(ready) }
    }
}
