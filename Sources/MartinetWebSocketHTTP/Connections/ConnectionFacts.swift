/// What is known of the connection that a request came by.
package struct ConnectionFacts: Sendable {
    /// Tells when the request's client leaves.
    package var monitor: ConnectionMonitor
    /// `HTTP/1.1`, `HTTP/2` or `WebSocket`.
    package var protocolName: String
    /// The client's address without its port; empty on a Unix socket.
    package var remoteAddress: String
    /// Whether the connection is encrypted.
    package var isSecure: Bool
    /// Names of the client's certificate, which the configured authority vouches for: subject alternative names, then the
    /// subject's common name. Empty where none was asked for.
    package var clientNames: [String]

    /// The facts of the connection whose request this task answers.
    @TaskLocal package static var current: ConnectionFacts?

    /// Describes a connection.
    package init(
        monitor: ConnectionMonitor, protocolName: String, remoteAddress: String = "", isSecure: Bool = false,
        clientNames: [String] = []
    ) {
        self.monitor = monitor
        self.protocolName = protocolName
        self.remoteAddress = remoteAddress
        self.isSecure = isSecure
        self.clientNames = clientNames
    }
}
