/// Which headers may go to an upstream.
enum HeaderRules {
    /// Set by this side alone, or meant for one hop only.
    private static let ours: Set<String> = [
        "authorization", "host", "content-length", "content-type", "transfer-encoding", "connection", "keep-alive",
        "te", "trailer", "upgrade", "proxy-authorization", "proxy-authenticate", "proxy-connection",
        "accept-encoding", "accept", "expect", "cookie",
    ]

    static func isOurs(_ name: String) -> Bool { ours.contains(name.lowercased()) }

    /// A token of RFC 9110.
    static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    static func isValue(_ value: String) -> Bool { value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) } }
}
