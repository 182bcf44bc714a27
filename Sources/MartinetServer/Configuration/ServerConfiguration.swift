/// How the HTTP server listens and what it allows.
public struct ServerConfiguration: Sendable, Hashable {
    /// Paths of the PEM files that encrypt connections; they are read again when they change.
    public struct TLS: Sendable, Hashable {
        /// The server's certificate, and those between it and its authority.
        public var certificate: String
        /// Its private key.
        public var key: String
        /// Authorities that clients' certificates must come from; clients need none where it is absent.
        public var clientAuthorities: String?

        /// Names files.
        public init(certificate: String, key: String, clientAuthorities: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientAuthorities = clientAuthorities
        }
    }

    /// The address to listen on.
    public var host = "127.0.0.1"
    /// The port to listen on; 0 takes any that is free.
    public var port = 8000
    /// A Unix socket to listen on beside the port.
    public var unixSocket: String?
    /// Whether to listen on the port at all; without it there must be a ``unixSocket``.
    public var listensOnPort = true
    /// Encrypts the port's connections; those of a Unix socket are never encrypted.
    public var tls: TLS?
    /// A port of its own for probes and metrics, answered by a thread of its own; 0 takes any that is free.
    public var healthPort: Int?
    /// A port of its own for gRPC; 0 takes any that is free, none leaves it off.
    public var grpcPort: Int?
    /// The header that names the conversation which a request belongs to.
    public var sessionHeader = "X-Session-Id"
    /// Refuses requests with fields that the server does not know.
    public var strictRequests = false
    /// Origins whose pages may read answers (CORS) and open WebSockets; `*` stands for all.
    public var corsOrigins: [String] = []
    /// Most bytes of a request's head.
    public var maxHeaderBytes = 64 << 10
    /// Most bytes of a request's body.
    public var maxBodyBytes = 32 << 20
    /// Most connections at once; what the system's limit of open files allows where it is absent.
    public var maxConnections: Int?
    /// How long running requests may go on after a signal to stop.
    public var drainTimeout = Duration.seconds(30)
    /// The engine counts as wedged when work is there and no step ended for this long.
    public var stallTimeout = Duration.seconds(120)
    /// How long the first request's head may take, the handshake of TLS included, and a body beside what its bytes are
    /// given: a second for each KiB.
    public var requestTimeout = Duration.seconds(30)
    /// How long a connection may rest between two requests.
    public var idleTimeout = Duration.seconds(75)
    /// Most requests of batches that run at once.
    public var batchConcurrency = 8
    /// How long a stream of events may be silent before a comment keeps it alive; zero for ever.
    public var keepAlive = Duration.seconds(15)
    /// Most bytes of a message on a WebSocket.
    public var maxWebSocketMessageBytes = 8 << 20
    /// Most generations at once on one WebSocket.
    public var maxWebSocketGenerations = 64
    /// The version that `/version` and metrics report.
    public var version = "0.1.0"

    /// Everything at its default.
    public init() {}
}
