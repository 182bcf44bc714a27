internal import AsyncHTTPClient
internal import MartinetAPI
internal import NIOCore
internal import NIOHTTP1

/// The connections to all members of one configuration.
final class UpstreamClient: Sendable {
    let configuration: UpstreamConfiguration
    let credential: Credential
    let http: HTTPClient
    let limits: Exchange.Limits
    private let maxEventBytes: Int

    init(_ configuration: UpstreamConfiguration, pool: UpstreamPoolConfiguration, environment: [String: String]) throws
    {
        self.configuration = configuration
        credential = try Credential(configuration, environment: environment)
        limits = Exchange.Limits(maxAnswerBytes: pool.maxAnswerBytes, maxHeadBytes: pool.maxHeadBytes)
        maxEventBytes = pool.maxEventBytes
        var settings = HTTPClient.Configuration()
        settings.redirectConfiguration = .disallow
        settings.timeout = .init(connect: TimeAmount(configuration.connectTimeout))
        settings.httpVersion = .http1Only
        settings.connectionPool.retryConnectionEstablishment = false
        settings.connectionPool.idleTimeout = .seconds(30)
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.maxConcurrent
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
    }

    func shutdown() async { try? await http.shutdown() }

    /// A request's template: parsing an address costs more than sending to it.
    func template(for address: UpstreamAddress, path: String) throws(UpstreamError) -> HTTPClient.Request {
        do {
            return try HTTPClient.Request(url: address.base + path, method: .POST)
        } catch {
            throw UpstreamError(.invalidRequest, "The path `\(path.prefix(256))` cannot be sent.", status: 404)
        }
    }

    /// The headers of a request.
    func headers(
        _ given: [(name: String, value: String)], isStream: Bool, authority: String, left: Duration?
    ) -> HTTPHeaders {
        var headers = HTTPHeaders()
        headers.reserveCapacity(given.count + configuration.headers.count + 6)
        headers.add(name: "content-type", value: "application/json")
        headers.add(name: "accept", value: isStream ? "text/event-stream" : "application/json")
        if let key = credential.key(now: .now) { headers.add(name: "authorization", value: "Bearer \(key)") }
        for (name, value) in configuration.headers { headers.add(name: name, value: value) }
        for (name, value) in given
        where !HeaderRules.isOurs(name) && HeaderRules.isName(name) && HeaderRules.isValue(value)
            && !headers.contains(name: name)
        {
            headers.add(name: name, value: value)
        }
        if let left {
            headers.replaceOrAdd(name: UpstreamRequest.timeoutHeader, value: "\(max(0, left.milliseconds))")
        }
        // A member found by its address is still called by the name that was looked up.
        if configuration.discovery == .dns { headers.add(name: "host", value: authority) }
        return headers
    }
}

extension Duration {
    /// Whole milliseconds, bounded.
    var milliseconds: Int { Int(max(-1e15, min(1e15, self / .milliseconds(1)))) }
    /// Seconds with their fraction, for messages.
    var inSeconds: String {
        let seconds = Double(milliseconds) / 1000
        return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
    }
}
