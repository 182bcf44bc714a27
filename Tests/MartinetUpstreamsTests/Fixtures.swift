import Foundation
import Logging
import MartinetAPI
import MartinetFleet
import MartinetJSON
import MartinetUpstreams
import NIOCore
import Testing

/// Always the first that can.
struct FirstPolicy: RoutingPolicy {
    func choose(among candidates: [RoutingCandidate], for key: RoutingKey) -> Int { 0 }
}

/// Runs `body` with a pool of these addresses.
func withPool(
    _ urls: [String], policy: any RoutingPolicy = FirstPolicy(), runs: Bool = false,
    environment: [String: String] = [:], lookup: AddressLookup = .system,
    pool change: (inout UpstreamPoolConfiguration) -> Void = { _ in },
    each: (inout UpstreamConfiguration, Int) -> Void = { _, _ in },
    _ body: @Sendable @escaping (UpstreamPool) async throws -> Void
) async throws {
    var upstreams: [UpstreamConfiguration] = []
    for (index, url) in urls.enumerated() {
        var upstream = UpstreamConfiguration(url: url)
        upstream.name = "up\(index)"
        upstream.probe.isEnabled = false
        each(&upstream, index)
        upstreams.append(upstream)
    }
    var configuration = UpstreamPoolConfiguration(name: "test", upstreams: upstreams)
    configuration.seed = 7
    configuration.backoff = Backoff(base: .milliseconds(2), maximum: .milliseconds(20))
    change(&configuration)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let pool = try UpstreamPool(
        configuration, policy: policy, logger: logger, environment: environment, lookup: lookup)
    do {
        try await withThrowingTaskGroup(of: Void.self) { group in
            if runs { group.addTask { await pool.run() } }
            try await body(pool)
            group.cancelAll()
        }
    } catch {
        await pool.shutdown()
        throw error
    }
    await pool.shutdown()
}

/// A request with a JSON body.
func request(
    _ json: String = #"{"model":"m","prompt":"hi"}"#, path: String = "/v1/completions",
    headers: [(name: String, value: String)] = [], deadline: ContinuousClock.Instant? = nil, interactive: Bool = false
) throws -> UpstreamRequest {
    UpstreamRequest(
        try UpstreamRequestBody(path: path, bytes: ByteBuffer(string: json)), headers: headers, deadline: deadline,
        cost: 100, isInteractive: interactive)
}

let streamRequest = #"{"model":"m","prompt":"Count:","stream":true,"max_tokens":100}"#

extension UpstreamResponse {
    /// The whole JSON body.
    var text: String {
        guard case .bytes(let bytes) = body else { return "" }
        return String(buffer: bytes)
    }

    var member: String? { headers.first { $0.name == UpstreamResponse.upstreamHeader }?.value }

    func collect() async throws -> Transcript {
        guard case .events(let events) = body else {
            Issue.record("the answer is no stream")
            return Transcript("")
        }
        var text = ""
        for await buffer in events { text += String(buffer: buffer) }
        return Transcript(text)
    }
}

extension UpstreamPool {
    /// The error that a request ends with.
    func failure(_ request: UpstreamRequest) async -> UpstreamError? {
        do {
            _ = try await send(request)
            Issue.record("the request succeeded")
            return nil
        } catch {
            return error
        }
    }

    func member(_ id: String) throws -> MemberSnapshot { try #require(snapshot().members.first { $0.id == id }) }
}

/// What a client saw of a stream.
struct Transcript {
    var raw: String
    var text = ""
    var ids: Set<String> = []
    var models: Set<String> = []
    var roles = 0
    var finishes: [String] = []
    var usages: [JSONValue] = []
    var comments: [String] = []
    var errors: [JSONValue] = []
    var doneCount = 0
    var isDoneLast = false

    init(_ raw: String) {
        self.raw = raw
        for event in raw.components(separatedBy: "\n\n") where !event.isEmpty {
            isDoneLast = false
            if event.hasPrefix(":") {
                comments.append(event)
            } else if event == "data: [DONE]" {
                doneCount += 1
                isDoneLast = true
            } else if event.hasPrefix("data: "), let value = try? JSONParser.parse(Array(event.dropFirst(6).utf8)) {
                add(value)
            } else {
                Issue.record("no event: \(event)")
            }
        }
    }

    private mutating func add(_ value: JSONValue) {
        if let error = value["error"] { errors.append(error) }
        if let id = value["id"]?.string { ids.insert(id) }
        if let model = value["model"]?.string { models.insert(model) }
        if case .object? = value["usage"] { usages.append(value["usage"] ?? .null) }
        guard let choice = value["choices"]?[0] else { return }
        text += choice["text"]?.string ?? choice["delta"]?["content"]?.string ?? ""
        if choice["delta"]?["role"] != nil { roles += 1 }
        if let reason = choice["finish_reason"]?.string { finishes.append(reason) }
    }
}

/// Waits for something that another task brings about.
func eventually(
    _ what: Comment, within limit: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record(what)
            return
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
