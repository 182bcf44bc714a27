#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif
internal import Dispatch

/// Finds all addresses of a name.
package struct AddressLookup: Sendable {
    /// Why a name has no addresses.
    package struct Failure: Error, CustomStringConvertible {
        /// What the resolver said.
        package var description: String

        /// A failure with a reason.
        package init(_ description: String) {
            self.description = description
        }
    }

    /// Gives the addresses in their numeric form.
    package var addresses: @Sendable (_ host: String) async throws -> [String]

    /// A lookup of one's own.
    package init(_ addresses: @escaping @Sendable (_ host: String) async throws -> [String]) {
        self.addresses = addresses
    }

    /// The system's resolver: A and AAAA records, `/etc/hosts`.
    package static let system = AddressLookup { host in
        // The resolver blocks, so it gets a thread that nobody else waits for.
        let queue = DispatchQueue(label: "martinet.lookup")
        return try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try resolve(host) }) }
        }
    }

    private static func resolve(_ host: String) throws -> [String] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &first)
        guard code == 0 else { throw Failure(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(first) }
        var addresses: [String] = []
        var entry = first
        while let current = entry, addresses.count < 1024 {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = socklen_t(text.count)
            if getnameinfo(
                current.pointee.ai_addr, current.pointee.ai_addrlen, &text, length, nil, 0, NI_NUMERICHOST) == 0
            {
                let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                let address = String(decoding: bytes, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            entry = current.pointee.ai_next
        }
        return addresses
    }
}
