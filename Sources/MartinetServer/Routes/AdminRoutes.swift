internal import MartinetJSON
internal import HTTPTypes
internal import Hummingbird
internal import MartinetAPI
internal import MartinetEngine
internal import NIOCore

/// The routes that look after the workers. They answer to this machine alone.
struct AdminRoutes: RouteGroup {
    let fleet: any FleetControl
    let methods: [String: [HTTPRequest.Method]] = [
        "/admin/workers": [.get, .head], "/admin/workers/replace": [.post], "/admin/reload": [.post],
    ]

    func add(to router: Router<MartinetContext>) {
        router.get("admin/workers") { _, context in
            try Self.admit(context)
            return Self.workers(fleet.models())
        }
        router.post("admin/workers/replace") { request, context in
            try Self.admit(context, changing: request)
            let model = request.uri.queryParameters["model"].map(String.init)
            try await Self.answering { try await fleet.replaceWorkers(of: model) }
            return Self.workers(fleet.models())
        }
        router.post("admin/reload") { request, context in
            try Self.admit(context, changing: request)
            let changes = try await Self.answering { try await fleet.reload() }
            var writer = JSONWriter()
            writer.object { writer in
                writer.field("changes") { writer in
                    writer.array { writer in for change in changes { writer.value(change) } }
                }
            }
            return CallRouter.json(writer.bytes)
        }
    }

    /// Lets only this machine in; and to change something, only who can say what it sends: a page of another origin in a
    /// browser here cannot, without asking first.
    private static func admit(_ context: MartinetContext, changing request: Request? = nil) throws(APIError) {
        let address = context.channel?.remoteAddress
        let isLocal =
            switch address {
            case .v4: address?.ipAddress?.hasPrefix("127.") == true
            case .v6: address?.ipAddress == "::1" || address?.ipAddress?.hasPrefix("::ffff:127.") == true
            case .unixDomainSocket: true
            case nil: false
            }
        guard isLocal else {
            throw APIError(
                status: 403, "This route answers to the machine that it runs on, and to no other.",
                type: "permission_error", code: "forbidden")
        }
        if let request, request.headers[.contentType]?.hasPrefix("application/json") != true {
            throw APIError(
                status: 415, "The content type must be application/json.", code: "unsupported_media_type")
        }
    }

    /// Runs an action whose failure is the server's to explain.
    private static func answering<Value>(_ action: () async throws -> Value) async throws -> Value {
        do {
            return try await action()
        } catch let error as APIError {
            throw error
        } catch let error as EngineError where error.code == .invalidParameter {
            throw APIError(error)
        } catch {
            throw APIError(status: 500, "\(error)", type: "server_error", code: "not_changed")
        }
    }

    private static func workers(_ models: [ModelWorkers]) -> Response {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("models") { writer in
                writer.array { writer in for model in models { write(model, to: &writer) } }
            }
        }
        return CallRouter.json(writer.bytes)
    }

    private static func write(_ model: ModelWorkers, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("model", model.model)
            writer.field("waiting", model.waiting)
            writer.field("workers") { writer in
                writer.array { writer in
                    for worker in model.workers {
                        writer.object { writer in
                            writer.field("id", worker.id)
                            writer.field("pid", worker.processID)
                            writer.field("state", worker.state)
                            writer.field("restarts", worker.restarts)
                            writer.field("outstanding_sequences", worker.outstandingSequences)
                            writer.field("outstanding_tokens", worker.outstandingTokens)
                        }
                    }
                }
            }
        }
    }
}
