internal import MartinetTelemetry
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import NIOCore

/// The routes that say how the server is.
struct StatusRoutes: Sendable {
    let service: any InferenceService
    let state: ServerState
    let metrics: ServerMetrics
    let stallTimeout: Duration
    let version: String

    func add(to router: Router<MartinetContext>) {
        // Alive and well: the engine steps.
        router.get("health") { _, _ in health() }
        router.get("ping") { _, _ in health() }
        // The process answers; what a restart cannot mend does not show here.
        router.get("livez") { _, _ in isWedged == nil ? Self.status("alive") : Self.status("wedged", failed: true) }
        // May get requests.
        router.get("readyz") { _, _ in
            if state.isDraining { return Self.status("draining", failed: true) }
            guard state.isReady, problem == nil else { return Self.status("not ready", failed: true) }
            return Self.status("ready")
        }
        router.get("startupz") { _, _ in
            state.isReady ? Self.status("started") : Self.status("starting", failed: true)
        }
        router.get("version") { _, _ in
            var writer = JSONWriter()
            writer.object { $0.field("version", version) }
            return InferenceRoutes.json(writer.bytes)
        }
        router.get("metrics") { _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: metrics.registry.exposition())))
        }
    }

    private var isWedged: String? {
        let seconds = service.statistics().secondsSinceProgress
        guard seconds > stallTimeout / .seconds(1) else { return nil }
        return "no step for \(Int(seconds)) s"
    }

    private var problem: String? { service.statistics().failure ?? isWedged }

    private func health() -> Response {
        guard let problem else { return Self.status("healthy") }
        return Self.status("unhealthy", failed: true, reason: problem)
    }

    private static func status(_ status: String, failed: Bool = false, reason: String? = nil) -> Response {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("status", status)
            if let reason { writer.field("reason", reason) }
        }
        var response = InferenceRoutes.json(writer.bytes)
        if failed { response.status = .serviceUnavailable }
        return response
    }
}
