internal import FoundationEssentials

/// The parts of an upstream's base address that matter here.
struct UpstreamAddress: Sendable, Hashable {
    /// `http` or `https`.
    var scheme: String
    /// A name or an address, without brackets.
    var host: String
    var port: Int
    /// What stands in front of `/v1/…`, without a slash at its end.
    var prefix: String

    /// Reads an address, with or without `/v1` at its end.
    init(_ text: String) throws {
        func refuse(_ problem: String) -> UpstreamConfigurationError {
            UpstreamConfigurationError(field: "url", problem: problem)
        }
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let url = URL(string: text),
            let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme), var host = url.host,
            !host.isEmpty
        else { throw refuse("must be an http or https address, but is `\(text.prefix(256))`") }
        guard url.user == nil, url.password == nil else {
            throw refuse("must not hold a user or a password; use `api_key_env` or `api_key_file`")
        }
        guard url.query == nil, url.fragment == nil else { throw refuse("must not have a query or a fragment") }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let port = url.port ?? (scheme == "https" ? 443 : 80)
        guard (1...65535).contains(port) else { throw refuse("must have a port from 1 to 65535") }
        var prefix = url.path
        while prefix.hasSuffix("/") { prefix.removeLast() }
        if prefix.hasSuffix("/v1") { prefix.removeLast(3) }
        self.scheme = scheme
        self.host = host
        self.port = port
        self.prefix = prefix
    }

    /// Host and port.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    /// The address in front of `/v1/…`.
    var base: String { "\(scheme)://\(authority)\(prefix)" }
}
