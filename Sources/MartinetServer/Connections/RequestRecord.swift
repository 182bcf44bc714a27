internal import Logging
internal import MartinetAPI
internal import Synchronization

/// What is known of a request for its log line; filled while it is answered.
final class RequestRecord: Sendable {
    struct Facts {
        var requestID = ""
        var method = ""
        var path = ""
        var status = 0
        var usage: Usage?
        var samples = 0
        var firstTokenSeconds: Double?
        var outcome: String?
        /// Other servers that gave parts of the answer.
        var upstreams: [String] = []
        var isWritten = false
        /// Whether it is a copy that nobody waits for; it counts nowhere.
        var isShadow = false
    }

    private let facts = Mutex(Facts())
    private let start = ContinuousClock.now

    /// The request's id: the client's own or a new one.
    var requestID: String { facts.withLock(\.requestID) }

    /// Whether it is a copy that nobody waits for.
    var isShadow: Bool { facts.withLock(\.isShadow) }

    /// Seconds since the request's head was read.
    var seconds: Double { (ContinuousClock.now - start) / .seconds(1) }

    func update(_ change: (inout sending Facts) -> Void) {
        facts.withLock { change(&$0) }
    }

    /// Writes the log line, once.
    func write(to logger: Logger) {
        let facts: Facts? = facts.withLock { facts in
            guard !facts.isWritten, !facts.isShadow else { return nil }
            facts.isWritten = true
            return facts
        }
        guard let facts else { return }
        var metadata: Logger.Metadata = [
            "request_id": "\(facts.requestID)", "method": "\(facts.method)", "path": "\(facts.path)",
            "status": .stringConvertible(facts.status),
            "seconds": .stringConvertible((seconds * 1e6).rounded() / 1e6),
        ]
        if let usage = facts.usage {
            metadata["prompt_tokens"] = .stringConvertible(usage.promptTokens)
            metadata["cached_tokens"] = .stringConvertible(usage.cachedTokens)
            metadata["completion_tokens"] = .stringConvertible(usage.completionTokens)
        }
        if let first = facts.firstTokenSeconds {
            metadata["first_token_seconds"] = .stringConvertible((first * 1e6).rounded() / 1e6)
        }
        if let outcome = facts.outcome { metadata["outcome"] = "\(outcome)" }
        if !facts.upstreams.isEmpty { metadata["upstreams"] = "\(facts.upstreams.joined(separator: ","))" }
        // Probes come every few seconds and say nothing new.
        let isProbe = [
            "/health", "/livez", "/readyz", "/startupz", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready",
            "/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady",
            "/inference.GRPCInferenceService/ModelReady",
        ].contains(facts.path)
        logger.log(level: isProbe ? .debug : .info, "request", metadata: metadata)
    }
}
