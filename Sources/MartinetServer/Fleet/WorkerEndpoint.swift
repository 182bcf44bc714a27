internal import Foundation
internal import MartinetUpstreams
package import MartinetWorkerProtocol

/// Where workers are that run already: at an address, at all addresses of a name, or at those that a file lists.
package enum WorkerEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// One worker.
    case address(WorkerAddress)
    /// A worker at each address that DNS has for a name, such as a headless Service's.
    case dns(host: String, port: Int)
    /// A worker at each line of a file; empty lines and those that begin with `#` do not count.
    case file(path: String)

    /// A worker that was found.
    struct Found: Sendable, Hashable {
        var address: WorkerAddress
        /// The name that its certificate has, where it is not the address's own.
        var serverName: String?
    }

    /// Reads `unix:PATH`, `dns:HOST:PORT`, `file:PATH` or `HOST:PORT`.
    ///
    /// - Throws: ``WorkerProtocolError`` where it is none of them.
    package init(parsing text: String) throws(WorkerProtocolError) {
        if text.hasPrefix("file:"), text.utf8.count > 5 {
            self = .file(path: String(text.dropFirst(5)))
        } else if text.hasPrefix("dns:") {
            guard case .tcp(let host, let port) = try WorkerAddress.tcp(parsing: String(text.dropFirst(4))) else {
                throw WorkerProtocolError(.invalidAddress, "\(text) is not dns:HOST:PORT.")
            }
            self = .dns(host: host, port: port)
        } else {
            self = .address(try Self.address(text))
        }
    }

    private static func address(_ text: String) throws(WorkerProtocolError) -> WorkerAddress {
        text.hasPrefix("unix:") ? try .unix(checking: String(text.dropFirst(5))) : try .tcp(parsing: text)
    }

    /// As it is written in a configuration.
    package var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .dns(let host, let port): "dns:\(WorkerAddress.tcp(host: host, port: port))"
        case .file(let path): "file:\(path)"
        }
    }

    /// Whether it always means the same.
    var isFixed: Bool { if case .address = self { true } else { false } }

    /// The workers that it means now.
    ///
    /// - Throws: where the name has no address, or the file cannot be read or has a line that is no address.
    func workers() async throws -> [Found] {
        switch self {
        case .address(let address): return [Found(address: address)]
        case .dns(let host, let port):
            let found = try await AddressLookup.system.addresses(host)
            guard !found.isEmpty else { throw AddressLookup.Failure("the name has no address") }
            return found.map { Found(address: .tcp(host: $0, port: port), serverName: host) }
        case .file(let path):
            let text = try String(contentsOfFile: path, encoding: .utf8)
            return try text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
                .filter { !$0.isEmpty && !$0.hasPrefix("#") }.map { Found(address: try Self.address($0)) }
        }
    }
}
