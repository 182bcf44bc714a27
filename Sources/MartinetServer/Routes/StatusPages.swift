internal import MartinetJSON
internal import MartinetAPI
internal import MartinetTelemetry

/// What the server says of itself. Every page is made at once, from figures that lie ready: it never waits.
struct StatusPages: Sendable {
    /// An answer.
    struct Page {
        var code = 200
        var contentType = "application/json"
        var body: [UInt8]
    }

    let directory: ModelDirectory
    let state: ServerState
    let metrics: ServerMetrics
    let stallTimeout: Duration
    let version: String

    /// All paths.
    static let paths = ["/health", "/ping", "/livez", "/readyz", "/startupz", "/version", "/load", "/metrics"]

    /// The page at a path; `nil` where there is none.
    func page(_ path: some StringProtocol) -> Page? {
        switch path {
        // Alive and well: the engines step.
        case "/health", "/ping":
            problem.map { Self.status("unhealthy", failed: true, reason: $0) } ?? Self.status("healthy")
        // The process answers; what a restart cannot mend does not show here.
        case "/livez": isWedged == nil ? Self.status("alive") : Self.status("wedged", failed: true)
        // May get requests.
        case "/readyz": readiness
        case "/startupz": state.isReady ? Self.status("started") : Self.status("starting", failed: true)
        case "/version":
            Page(body: Self.json { $0.field("version", version) })
        // As vLLM has it: requests that generate.
        case "/load": Page(body: Self.json { $0.field("server_load", state.generations) })
        case "/metrics":
            Page(
                contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(metrics.registry.exposition().utf8)
            )
        default: nil
        }
    }

    private var readiness: Page {
        if state.isDraining { return Self.status("draining", failed: true) }
        guard state.isReady, problem == nil else { return Self.status("not ready", failed: true, reason: problem) }
        return Self.status("ready")
    }

    /// Whether requests may come: what `/readyz` says.
    var isReady: Bool { state.isReady && !state.isDraining && problem == nil }

    /// Whether the process does its work, or could: what `/livez` says.
    var isLive: Bool { isWedged == nil }

    private var isWedged: String? {
        let seconds = directory.secondsSinceProgress
        guard seconds > stallTimeout / .seconds(1) else { return nil }
        return "no step for \(Int(seconds)) s"
    }

    private var problem: String? { directory.failure ?? isWedged }

    private static func status(_ status: String, failed: Bool = false, reason: String? = nil) -> Page {
        Page(
            code: failed ? 503 : 200,
            body: json { writer in
                writer.field("status", status)
                if let reason { writer.field("reason", reason) }
            })
    }

    private static func json(_ fields: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(fields)
        return writer.bytes
    }
}
