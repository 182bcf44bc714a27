internal import Logging
internal import MartinetAPI
internal import Synchronization

/// What is known of a request for its log line; filled while it is answered.
final class RequestRecord: Sendable {
    struct Facts {
        var requestID = ""
        var protocolName = ""
        /// The client's address; empty where it has none.
        var remoteAddress = ""
        /// The names in the client's certificate.
        var clientNames: [String] = []
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

    /// Tokens that the request took, where they are known.
    var usage: Usage? { facts.withLock(\.usage) }

    /// What is known when an answer's head goes out, as `Server-Timing` says it: milliseconds since the request's head was
    /// read, and until the first token.
    func serverTiming(isWhole: Bool) -> String {
        var text = (isWhole ? "total;dur=" : "head;dur=") + Self.milliseconds(seconds)
        if let first = facts.withLock(\.firstTokenSeconds) { text += ", first-token;dur=" + Self.milliseconds(first) }
        return text
    }

    private static func milliseconds(_ seconds: Double) -> String {
        let tenths = Int(min(max(seconds, 0), 1e9) * 1e4)
        return "\(tenths / 10).\(tenths % 10)"
    }

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
        if !facts.protocolName.isEmpty { metadata["protocol"] = "\(facts.protocolName)" }
        if !facts.remoteAddress.isEmpty { metadata["remote"] = "\(facts.remoteAddress)" }
        if !facts.clientNames.isEmpty { metadata["client"] = "\(facts.clientNames.joined(separator: ","))" }
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
