/// Where a worker listens.
package enum WorkerAddress: Sendable, Hashable, CustomStringConvertible {
    /// A Unix domain socket.
    case unix(path: String)
    /// A host's name or address, and a port; 0 takes a free one.
    case tcp(host: String, port: Int)

    /// Most bytes of a socket's path: what the system's address has room for, less the zero behind it.
    package static let maxPathBytes = 107

    /// A socket's path, checked.
    ///
    /// - Throws: ``WorkerProtocolError`` where the path is empty or longer than the system can take.
    package static func unix(checking path: String) throws(WorkerProtocolError) -> WorkerAddress {
        guard !path.isEmpty, !path.utf8.contains(0), path.utf8.count <= maxPathBytes else {
            throw WorkerProtocolError(
                .invalidAddress,
                "The socket path \(path.debugDescription) has \(path.utf8.count) bytes: 1 to \(maxPathBytes) are "
                    + "possible. Choose a shorter folder, such as one under /run or /tmp.")
        }
        return .unix(path: path)
    }

    /// Reads `HOST:PORT` or `[HOST]:PORT`.
    ///
    /// - Throws: ``WorkerProtocolError`` where it is neither.
    package static func tcp(parsing text: String) throws(WorkerProtocolError) -> WorkerAddress {
        var host = text[...]
        var port: Int?
        if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = Int(text[text.index(after: colon)...])
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]") && host.count > 2
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let port, (0...65535).contains(port), !host.isEmpty, !host.utf8.contains(0),
            !host.contains(where: { "[]".contains($0) }), isBracketed || !host.contains(":")
        else {
            throw WorkerProtocolError(
                .invalidAddress,
                "\(text.debugDescription) is not HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000.")
        }
        return .tcp(host: String(host), port: port)
    }

    /// `unix:PATH` or `HOST:PORT`.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}
