/// How the HTTP server listens and what it allows.
public struct ServerConfiguration: Sendable, Hashable {
    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 takes any that is free.
    public var port = 8000
    /// A port of its own for probes and metrics, answered by a thread of its own; 0 takes any that is free.
    public var healthPort: Int?
    /// A port of its own for gRPC; 0 takes any that is free, none leaves it off.
    public var grpcPort: Int?
    /// The header that names the conversation which a request belongs to.
    public var sessionHeader = "X-Session-Id"
    /// Most bytes of a request's body.
    public var maxBodyBytes = 32 << 20
    /// How long running requests may go on after a signal to stop.
    public var drainTimeout = Duration.seconds(30)
    /// The engine counts as wedged when work is there and no step ended for this long.
    public var stallTimeout = Duration.seconds(120)
    /// How long a connection may take to send a request, or rest between two.
    public var idleTimeout = Duration.seconds(75)
    /// The version that `/version` and metrics report.
    public var version = "0.1.0"

    /// Everything at its default.
    public init() {}
}
