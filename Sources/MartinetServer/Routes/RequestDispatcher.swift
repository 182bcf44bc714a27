internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetFleet
internal import MartinetTelemetry
internal import MartinetUpstreams
internal import NIOCore

/// Finds the pool that answers a request: as the rules say, else the one of the model that the request names.
struct RequestDispatcher: Sendable {
    /// A request whose body has been looked at.
    struct Inbound: Sendable {
        let body: UpstreamRequestBody
        let request: Request
        let hints: RequestHints
        let context: MartinetContext
    }

    /// Answers a request by a model that is served here.
    ///
    /// - Parameter mayFail: whether somebody else can answer, as long as nothing was sent.
    typealias Local =
        @Sendable (_ target: Deployment, _ context: MartinetContext, _ mayFail: Bool) async throws -> Response

    let directory: ModelDirectory
    let forwarder: UpstreamForwarder
    let logger: Logger

    /// Answers a request.
    func answer(_ inbound: Inbound, local: @escaping Local) async throws -> Response {
        guard let plan = directory.plan(for: features(inbound)) else {
            let destination = try directory.destination(named: inbound.body.model)
            return try await send(inbound, to: destination, context: inbound.context, mayFail: false, local)
        }
        for mirror in plan.mirrors {
            if let pool = directory.pool(mirror) { shadow(inbound, to: pool, name: mirror, local) }
        }
        let saturation = { (name: String) in directory.pool(name)?.saturation ?? 1 }
        var tried: Set<Int> = []
        var stage = plan.start(saturation: saturation)
        while true {
            let name = plan.stages[stage].pool
            tried.insert(stage)
            let failure: APIError
            do {
                // A pool that a reload has removed.
                guard let pool = directory.pool(name) else {
                    throw APIError(
                        status: 503, "The pool \(name) is not served any more.", type: "service_unavailable_error",
                        code: "unavailable", retryAfter: 1)
                }
                let mayFail = tried.count < plan.stages.count
                return try await send(inbound, to: pool, context: inbound.context, mayFail: mayFail, local)
            } catch let error as APIError {
                failure = error
            }
            guard let cause = RouteFailure(failure),
                let next = plan.next(tried: tried, because: cause, saturation: saturation)
            else { throw failure }
            logger.info(
                "a request goes on to another pool",
                metadata: [
                    "request_id": "\(inbound.context.record.requestID)", "rule": "\(plan.rule)", "from": "\(name)",
                    "to": "\(plan.stages[next].pool)", "because": "\(cause.rawValue)",
                ])
            stage = next
        }
    }

    private func send(
        _ inbound: Inbound, to destination: Destination, context: MartinetContext, mayFail: Bool, _ local: Local
    ) async throws -> Response {
        switch destination {
        case .model(let target): try await local(target, context, mayFail)
        case .upstreams(let upstreams):
            try await forwarder.forward(
                inbound.body, of: inbound.request, hints: inbound.hints, to: upstreams.pool, context: context)
        }
    }

    /// Sends a copy of a request whose answer nobody sees.
    private func shadow(_ inbound: Inbound, to destination: Destination, name: String, _ local: @escaping Local) {
        let context = MartinetContext(twinOf: inbound.context, logger: logger)
        context.record.update { facts in
            facts.requestID = inbound.context.record.requestID + "-mirror"
            facts.isShadow = true
        }
        Task {
            do {
                let response = try await send(inbound, to: destination, context: context, mayFail: true, local)
                try await response.body.write(DiscardingWriter())
            } catch {
                logger.info(
                    "a mirrored request failed",
                    metadata: ["request_id": "\(context.record.requestID)", "pool": "\(name)", "error": "\(error)"])
            }
        }
    }

    private func features(_ inbound: Inbound) -> RequestFeatures {
        var headers: [String: String] = [:]
        for field in inbound.request.headers { headers[field.name.canonicalName] = field.value }
        return RequestFeatures(
            requestID: inbound.context.record.requestID, model: inbound.body.model ?? directory.firstName,
            session: inbound.hints.session, workClass: headers["x-request-class"],
            promptTokens: inbound.body.bytes.readableBytes / UpstreamForwarder.bytesPerToken,
            outputTokens: inbound.body.maxTokens, headers: headers,
            time: UTCTime(secondsSinceEpoch: Int(ProcessFigures.now)))
    }
}

/// Takes a body that nobody reads.
private struct DiscardingWriter: ResponseBodyWriter {
    mutating func write(_ buffer: ByteBuffer) async throws {}
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}

extension RouteFailure {
    /// What an error means for other pools; `nil` where it is the request's own fault, or its time is over.
    fileprivate init?(_ error: APIError) {
        switch (error.status, error.code) {
        case (_, "context_length_exceeded"): self = .contextTooLong
        case (429, _), (_, UpstreamError.Code.busy.description): self = .overload
        case (503, _), (_, UpstreamError.Code.connectionFailed.description): self = .unavailable
        case (504, "deadline_exceeded"), (..<500, _): return nil
        default: self = .error
        }
    }
}

extension Destination {
    /// How full it is, 0...1: sequences of those that can run at once, or KV blocks.
    fileprivate var saturation: Double {
        switch self {
        case .upstreams(let upstreams): return min(1, upstreams.pool.saturation)
        case .model(let deployment):
            let figures = deployment.service.statistics()
            guard figures.failure == nil else { return 1 }
            let sequences = Double(figures.running + figures.waiting) / Double(max(1, deployment.capacity))
            let blocks = figures.totalBlocks > 0 ? Double(figures.usedBlocks) / Double(figures.totalBlocks) : 0
            return min(1, max(sequences, blocks))
        }
    }
}
