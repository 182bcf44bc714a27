#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// A socket that listens, and for a Unix socket the file that leads to it, which goes with it.
struct ListeningSocket: ~Copyable {
    /// Where it listens: with the port that the system chose.
    let address: WorkerAddress
    private var descriptor: Int32
    private var file: (path: String, device: UInt64, inode: UInt64)?

    /// Binds a socket. A Unix socket's file is its owner's alone; one that nobody answers at any more is replaced.
    ///
    /// - Throws: ``WorkerProtocolError`` where the address is in use or the system refuses.
    init(_ address: WorkerAddress) throws(WorkerProtocolError) {
        switch address {
        case .unix(let path):
            let (descriptor, status) = try Self.bindUnix(path)
            self.descriptor = descriptor
            self.address = address
            file = (path, UInt64(status.st_dev), UInt64(status.st_ino))
        case .tcp(let host, let port):
            (descriptor, self.address) = try Self.bindTCP(host: host, port: port)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        guard let file else { return }
        var status = stat()
        // Another worker may have taken the path over.
        if lstat(file.path, &status) == 0, status.st_dev == file.device, status.st_ino == file.inode {
            unlink(file.path)
        }
    }

    /// Gives the descriptor away; who takes it closes it.
    mutating func takeDescriptor() -> Int {
        defer { descriptor = -1 }
        return Int(descriptor)
    }

    private static func bindUnix(_ path: String) throws(WorkerProtocolError) -> (Int32, stat) {
        _ = try WorkerAddress.unix(checking: path)
        var existing = stat()
        if lstat(path, &existing) == 0 {
            guard existing.st_mode & S_IFMT == S_IFSOCK else {
                throw WorkerProtocolError(
                    .addressInUse, "\(path) is there already and is no socket; choose another path.")
            }
            guard !answers(path) else {
                throw WorkerProtocolError(
                    .addressInUse, "Another process listens on \(path). Stop it, or choose another path.")
            }
            unlink(path)
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw failure("open", path) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var status = stat()
        // Nobody can connect before it listens, so the file's rights are right before it matters.
        guard withUnixAddress(path, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0,
            lstat(path, &status) == 0, listen(descriptor, 128) == 0
        else {
            let error = failure("listen on", path)
            close(descriptor)
            throw error
        }
        return (descriptor, status)
    }

    private static func answers(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        return withUnixAddress(path, { connect(descriptor, $0, $1) }) == 0 || errno != ECONNREFUSED
    }

    private static func withUnixAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            for (index, byte) in path.utf8.enumerated() where index < room.count - 1 { room[index] = byte }
        }
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private static func bindTCP(host: String, port: Int) throws(WorkerProtocolError) -> (Int32, WorkerAddress) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var list: UnsafeMutablePointer<addrinfo>?
        let name = "\(WorkerAddress.tcp(host: host, port: port))"
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let found = list else {
            throw WorkerProtocolError(.invalidAddress, "The host of \(name) has no address that this machine knows.")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(found.pointee.ai_family, found.pointee.ai_socktype, found.pointee.ai_protocol)
        guard descriptor >= 0 else { throw failure("open", name) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let bound = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0
                    && listen(descriptor, 128) == 0 && getsockname(descriptor, address, &size) == 0
            }
        }
        guard bound else {
            let error = failure("listen on", name)
            close(descriptor)
            throw error
        }
        // The port is at the same place for both families.
        let chosen = withUnsafeBytes(of: storage) { $0.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian }
        return (descriptor, .tcp(host: host, port: Int(chosen)))
    }

    private static func failure(_ what: String, _ name: String) -> WorkerProtocolError {
        let number = errno
        return WorkerProtocolError(
            number == EADDRINUSE ? .addressInUse : .socketFailed,
            "Could not \(what) \(name): \(String(cString: strerror(number))).")
    }
}
