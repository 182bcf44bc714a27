public import AsyncHTTPClient
import FoundationEssentials
import MartinetModelFormats
import NIOCore
import NIOHTTP1
import NIOSSL

/// Fetches single files over HTTP: resuming, with retries, bounded in size, verified, and renamed only when whole.
///
/// ```swift
/// try await ModelDownloader.withClient { downloader in
///     try await downloader.download(url, to: path, sha256: digest)
/// }
/// ```
public struct ModelDownloader: Sendable {
    /// What a download is held to.
    public struct Limits: Sendable {
        /// Most bytes of a file.
        public var maxByteCount = 1 << 40
        /// Attempts in a row that may bring nothing.
        public var attempts = 5
        /// The pause before the second attempt; it doubles with each further one.
        public var firstPause = Duration.milliseconds(500)
        /// Redirections that are followed.
        public var redirects = 8

        /// The usual limits.
        public init() {}
    }

    /// The limits in force.
    public var limits: Limits
    /// Headers for one server, such as a token, sent to no other.
    var credentials: (host: String, header: String)?
    private let client: HTTPClient
    /// For this machine itself, which no proxy leads to.
    private var localClient: HTTPClient

    /// Makes a downloader that uses `client`.
    public init(client: HTTPClient, limits: Limits = Limits()) {
        self.client = client
        localClient = client
        self.limits = limits
    }

    /// Runs `body` with a downloader whose connections are closed afterwards.
    ///
    /// `SSL_CERT_FILE` names the trusted certificates, and `HTTPS_PROXY` a proxy, where they are set.
    public static func withClient<Result: Sendable>(
        limits: Limits = Limits(), _ body: (ModelDownloader) async throws -> Result
    ) async throws -> Result {
        var configuration = configuration()
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        configuration.proxy = nil
        let localClient = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        var downloader = ModelDownloader(client: client, limits: limits)
        downloader.localClient = localClient
        do {
            let result = try await body(downloader)
            try await client.shutdown()
            try await localClient.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            try? await localClient.shutdown()
            throw error
        }
    }

    private static func configuration() -> HTTPClient.Configuration {
        let environment = ProcessInfo.processInfo.environment
        var configuration = HTTPClient.Configuration()
        var tls = TLSConfiguration.makeClientConfiguration()
        if let path = environment["SSL_CERT_FILE"], !path.isEmpty { tls.trustRoots = .file(path) }
        configuration.tlsConfiguration = tls
        // Redirections are followed here, since tokens must not follow them.
        configuration.redirectConfiguration = .disallow
        configuration.timeout = .init(connect: .seconds(10), read: .seconds(60))
        // Connection attempts are counted by the retries here.
        configuration.connectionPool.retryConnectionEstablishment = false
        if let proxy = environment["HTTPS_PROXY"] ?? environment["https_proxy"], let url = URL(string: proxy),
            let host = url.host
        {
            configuration.proxy = .server(host: host, port: url.port ?? 3128)
        }
        return configuration
    }

    /// Fetches a file.
    ///
    /// An interrupted download leaves `path.partial`; the next call goes on from there if the server still has the same
    /// file, by its entity tag or a given digest, and starts again otherwise.
    ///
    /// - Parameters:
    ///   - url: `https`, or `http` to this machine itself.
    ///   - path: where the file will lie; its folder exists.
    ///   - byteCount: the size it must have, where known.
    ///   - sha256: the digest it must have, in hexadecimal digits, where known.
    ///   - progress: called now and then, from any thread.
    public func download(
        _ url: String, to path: String, byteCount: Int? = nil, sha256: String? = nil,
        progress: @Sendable (DownloadProgress) -> Void = { _ in }
    ) async throws {
        let file = PartialFile(path: path)
        var failures = 0
        var lastCount = file.resumable(url: url, isPinned: sha256 != nil)?.count ?? 0
        while true {
            do {
                try await attempt(
                    url, file: file, byteCount: byteCount, isPinned: sha256 != nil, progress: progress)
                break
            } catch let failure as Retryable {
                let count = file.resumable(url: url, isPinned: sha256 != nil)?.count ?? 0
                failures = count > lastCount ? 1 : failures + 1
                lastCount = count
                guard failures < limits.attempts else { throw failure.error }
                progress(
                    DownloadProgress(
                        file: path.lastComponent, phase: .retrying(reason: failure.error.message), received: count,
                        total: byteCount))
                try await Task.sleep(for: limits.firstPause * (1 << min(failures - 1, 6)))
            }
        }
        if let sha256 {
            progress(DownloadProgress(file: path.lastComponent, phase: .verifying, received: lastCount))
            let digest = try FileDigest.sha256(of: file.partialPath)
            guard digest == sha256.lowercased() else {
                file.remove()
                throw DownloadError(
                    .checksumMismatch,
                    "\(path.lastComponent) from \(Self.host(of: url)) has SHA-256 \(digest), expected "
                        + "\(sha256.lowercased()); the file was deleted")
            }
        }
        try file.finish()
    }

    /// The body of a small answer.
    ///
    /// - Parameter limit: most bytes that it may have.
    func fetch(_ url: String, limit: Int) async throws -> [UInt8] {
        let response: HTTPClientResponse
        let host: String
        do {
            (response, host) = try await get(url, headers: [:])
        } catch let failure as Retryable {
            throw failure.error
        }
        guard response.status == .ok else { throw Self.failure(response.status, url: url, host: host).error }
        do {
            let body = try await response.body.collect(upTo: limit)
            return Array(body.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw DownloadError(.tooLarge, "\(host) answered more than \(limit) bytes to \(url)")
        } catch {
            throw Self.broken(error, host: host).error
        }
    }

    /// A failure that another attempt may cure.
    struct Retryable: Error {
        var error: DownloadError
    }

    private func attempt(
        _ url: String, file: PartialFile, byteCount: Int?, isPinned: Bool,
        progress: @Sendable (DownloadProgress) -> Void
    ) async throws {
        var headers: HTTPHeaders = ["Accept-Encoding": "identity"]
        var resumed = file.resumable(url: url, isPinned: isPinned)
        if let (origin, count) = resumed {
            if count == origin.total { return }
            headers.add(name: "Range", value: "bytes=\(count)-")
            if let validator = origin.validator { headers.add(name: "If-Range", value: validator) }
        }
        let (response, host) = try await get(url, headers: headers)
        let total: Int?
        switch response.status {
        case .ok:
            resumed = nil
            total = response.headers.first(name: "Content-Length").flatMap { Int($0) }
        case .partialContent:
            guard let count = resumed?.count, let range = ContentRange(response.headers.first(name: "Content-Range")),
                range.start == count, resumed?.origin.total == nil || range.total == resumed?.origin.total
            else {
                file.remove()
                throw Retryable(
                    error: DownloadError(.badAnswer, "\(host) answered another part of the file than asked"))
            }
            total = range.total
        case .rangeNotSatisfiable:
            file.remove()
            throw Retryable(error: DownloadError(.badAnswer, "\(host) has a different file now"))
        default:
            throw Self.failure(response.status, url: url, host: host)
        }
        try check(total: total, byteCount: byteCount, url: url, host: host)
        let start = resumed?.count ?? 0
        if let total { try file.checkSpace(for: total - start) }

        let writer = try PartialFile.Writer(file, keeping: start)
        try file.record(
            PartialFile.Origin(
                url: url, validator: Self.validator(response.headers) ?? resumed?.origin.validator, total: total))
        let most = byteCount ?? total ?? limits.maxByteCount
        var reported = ContinuousClock.now - .seconds(1)
        do {
            for try await buffer in response.body {
                guard writer.count + buffer.readableBytes <= most else {
                    file.remove()
                    throw DownloadError(
                        .tooLarge, "\(host) sent more than the \(most) bytes of \(file.path.lastComponent)")
                }
                try buffer.withUnsafeReadableBytes { try writer.append($0) }
                let now = ContinuousClock.now
                if now - reported > .milliseconds(100) {
                    reported = now
                    progress(
                        DownloadProgress(
                            file: file.path.lastComponent, phase: .downloading, received: writer.count,
                            total: total ?? byteCount))
                }
            }
        } catch let error as DownloadError {
            throw error
        } catch {
            try? writer.synchronize()
            throw Self.broken(error, host: host)
        }
        try writer.synchronize()
        if let expected = total ?? byteCount, writer.count != expected {
            throw Retryable(
                error: DownloadError(
                    .unreachable, "\(host) closed the connection after \(writer.count) of \(expected) bytes"))
        }
        progress(
            DownloadProgress(
                file: file.path.lastComponent, phase: .downloading, received: writer.count, total: writer.count))
    }

    private func check(total: Int?, byteCount: Int?, url: String, host: String) throws(DownloadError) {
        guard let total else { return }
        if let byteCount, total != byteCount {
            throw DownloadError(
                .badAnswer, "\(host) offers \(total) bytes for \(url.lastComponent), but it has \(byteCount)")
        }
        guard total >= 0, total <= limits.maxByteCount else {
            throw DownloadError(.tooLarge, "\(url) has \(total) bytes; at most \(limits.maxByteCount) are fetched")
        }
    }

    /// Asks for an address and follows redirections; a status of 400 and above is the caller's to judge.
    private func get(_ url: String, headers: HTTPHeaders) async throws -> (HTTPClientResponse, host: String) {
        var address = url
        for _ in 0...limits.redirects {
            let host = Self.host(of: address)
            guard Self.isAllowed(address) else {
                throw DownloadError(
                    .invalidReference, "\(address) is not fetched: https is needed (http only from this machine itself)"
                )
            }
            var request = HTTPClientRequest(url: address)
            request.headers = headers
            request.headers.add(name: "User-Agent", value: "martinet")
            if let credentials, credentials.host == host {
                request.headers.add(name: "Authorization", value: credentials.header)
            }
            let response: HTTPClientResponse
            do {
                response = try await (Self.isLocal(address) ? localClient : client).execute(
                    request, deadline: .now() + .hours(24))
            } catch {
                throw Self.broken(error, host: host)
            }
            guard (300..<400).contains(response.status.code), response.status != .notModified else {
                return (response, host)
            }
            guard let location = response.headers.first(name: "Location"), let base = URL(string: address),
                let target = URL(string: location, relativeTo: base)?.absoluteURL
            else { throw DownloadError(.badAnswer, "\(host) redirects without saying where to") }
            address = target.absoluteString
            if Self.isLocal(address), !Self.isLocal(url) {
                throw DownloadError(.badAnswer, "\(host) redirects to this machine itself, which is refused")
            }
        }
        throw DownloadError(.badAnswer, "\(Self.host(of: url)) redirects more than \(limits.redirects) times")
    }
}
