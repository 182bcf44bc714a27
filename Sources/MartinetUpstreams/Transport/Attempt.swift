internal import AsyncHTTPClient
internal import MartinetAPI
internal import NIOCore
internal import NIOHTTP1

/// One request to one member, up to its whole answer or to a stream's first token.
struct Attempt: Sendable {
    /// What an attempt came to.
    enum Opened: Sendable {
        case whole(Lease, ByteBuffer, UsageCounts?)
        case stream(OpenStream)
    }

    /// A stream that has given its first token.
    struct OpenStream: Sendable {
        var lease: Lease
        var exchange: Exchange
        var filter: StreamFilter
        /// Events that came with the first token.
        var held: ByteBuffer
    }

    /// Where in its life an exchange failed.
    private enum Phase {
        case answer, firstToken
    }

    let lease: Lease
    let body: UpstreamRequestBody
    let bytes: ByteBuffer
    let headers: [(name: String, value: String)]
    let deadline: ContinuousClock.Instant?
    /// The stream's account; `nil` for a request that is no stream.
    let filter: StreamFilter?

    private var member: Member { lease.member }

    /// Sends the request and waits for its answer. The lease knows the outcome afterwards.
    func run() async throws(UpstreamError) -> Opened {
        do {
            return try await attempt()
        } catch {
            let error = member.hidingKey(in: error)
            lease.fail(error)
            throw error
        }
    }

    private func attempt() async throws(UpstreamError) -> Opened {
        let configuration = member.client.configuration
        let now = ContinuousClock.now
        let left = deadline.map { $0 - now }
        if let left, left <= .zero { throw .deadlineExceeded("before it was sent") }
        var request = try member.template(for: body.path)
        request.headers = member.client.headers(
            headers, isStream: filter != nil, authority: member.hostHeader, left: left)
        request.body = .byteBuffer(bytes)
        let end = NIODeadline.now() + TimeAmount(min(left ?? configuration.totalTimeout, configuration.totalTimeout))
        let exchange = Exchange(
            request, with: member.client.http, isStream: filter != nil, limits: member.client.limits, deadline: end)
        do {
            guard let filter else { return try await whole(exchange) }
            return .stream(try await open(exchange, filter))
        } catch let error as UpstreamError {
            exchange.cancel()
            throw error
        } catch {
            exchange.cancel()
            throw member.error(
                error, deadline: deadline,
                waited: filter == nil ? configuration.totalTimeout : configuration.firstTokenTimeout)
        }
    }

    private func whole(_ exchange: Exchange) async throws -> Opened {
        let (head, answer) = try await exchange.whole()
        try check(head, body: answer)
        guard head.holds("application/json") else { throw wrongType(head) }
        let usage = try answer.withUnsafeReadableBytes { bytes throws -> UsageCounts? in
            var scanner = JSONScanner(bytes)
            var usage: UsageCounts?
            if scanner.openObject() {
                while let (key, value) = scanner.nextMember() {
                    if bytes.holds("usage", at: key) { usage = UsageCounts(bytes, value) }
                }
            }
            guard scanner.isWhole else {
                throw UpstreamError.badAnswer(member.id, "a body that is no JSON object")
            }
            return usage
        }
        lease.succeed()
        lease.close(usage: usage)
        return .whole(lease, answer, usage)
    }

    private func open(_ exchange: Exchange, _ filter: StreamFilter) async throws -> OpenStream {
        let patience = NIODeadline.now() + TimeAmount(member.client.configuration.firstTokenTimeout)
        let head = try await exchange.head(by: patience)
        guard head.status == .ok else {
            try check(head, body: try await start(of: exchange, by: min(patience, .now() + .seconds(5))))
            throw wrongType(head)
        }
        guard head.holds("text/event-stream") else { throw wrongType(head) }
        var opened = OpenStream(lease: lease, exchange: exchange, filter: filter, held: ByteBuffer())
        opened.filter.beginSegment(upstream: member.id)
        while !opened.filter.hasSegmentContent {
            if let failure = opened.filter.failure { throw failure }
            if opened.filter.isDone { break }
            guard let chunk = try await exchange.next(by: patience) else {
                throw UpstreamError.badAnswer(member.id, "a stream without any token")
            }
            let events = opened.filter.take(chunk)
            if opened.held.readableBytes == 0 { opened.held = events } else { opened.held.writeImmutableBuffer(events) }
            guard opened.held.readableBytes <= member.client.limits.maxAnswerBytes else {
                throw UpstreamError.tooLarge(member.id, "too much before its first token")
            }
        }
        lease.succeed()
        return opened
    }

    /// The first bytes of an error's body.
    private func start(of exchange: Exchange, by patience: NIODeadline) async throws -> ByteBuffer {
        var body = ByteBuffer()
        do {
            while body.readableBytes < 64 << 10, let bytes = try await exchange.next(by: patience) {
                body.writeImmutableBuffer(bytes)
            }
        } catch  where !Task.isCancelled {
            // The status says enough.
        }
        return body
    }

    private func check(_ head: HTTPResponseHead, body: ByteBuffer) throws(UpstreamError) {
        guard head.status != .ok else { return }
        let body = body.getSlice(at: body.readerIndex, length: min(body.readableBytes, 64 << 10)) ?? ByteBuffer()
        throw UpstreamError(
            status: Int(head.status.code), headers: head.headers, body: body, upstream: member.id)
    }

    private func wrongType(_ head: HTTPResponseHead) -> UpstreamError {
        let wanted = filter == nil ? "application/json" : "text/event-stream"
        let type = (head.headers.first(name: "content-type") ?? "none").prefix(64).filter { $0 >= " " && $0 <= "~" }
        return .badAnswer(member.id, "the content type `\(type)` in place of \(wanted)")
    }
}

extension Lease {
    /// Asks for the list of models, for want of one to generate with.
    func checkModels(timeout: Duration) async throws(UpstreamError) {
        do {
            var request = try HTTPClient.Request(url: member.address.base + "/v1/models")
            request.headers = member.client.headers([], isStream: false, authority: member.hostHeader, left: nil)
            let exchange = Exchange(
                request, with: member.client.http, isStream: false, limits: member.client.limits,
                deadline: .now() + TimeAmount(timeout))
            let (head, body) = try await exchange.whole()
            guard head.status == .ok else {
                throw UpstreamError(
                    status: Int(head.status.code), headers: head.headers, body: body, upstream: member.id)
            }
            succeed()
            close()
        } catch {
            let error = member.hidingKey(in: member.error(error, deadline: .now, waited: timeout))
            fail(error)
            throw error
        }
    }
}

extension HTTPResponseHead {
    /// Whether the body is of a type, as it is and not compressed.
    fileprivate func holds(_ type: String) -> Bool {
        guard let given = headers.first(name: "content-type") else { return false }
        let isPlain = headers.first(name: "content-encoding").map { $0.lowercased() == "identity" } ?? true
        return isPlain && given.utf8.count >= type.utf8.count
            && zip(given.utf8, type.utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
    }
}

extension Member {
    /// What a failure of the transport means.
    ///
    /// - Parameter waited: how long a wait may be that timed out.
    func error(_ error: any Error, deadline: ContinuousClock.Instant?, waited: Duration) -> UpstreamError {
        func failed(_ what: String) -> UpstreamError {
            UpstreamError(.connectionFailed, "Upstream \(id) \(what).", status: 502, isRetryable: true)
        }
        switch error {
        case let error as UpstreamError: return error
        case Exchange.Failure.timeout:
            return UpstreamError(
                .timedOut, "Upstream \(id) sent nothing useful for \(waited.inSeconds).", status: 504,
                isRetryable: true)
        case Exchange.Failure.headTooLarge:
            return .tooLarge(id, "a head of more than \(client.limits.maxHeadBytes) bytes")
        case Exchange.Failure.bodyTooLarge:
            return .tooLarge(id, "an answer of more than \(client.limits.maxAnswerBytes) bytes")
        case Exchange.Failure.cancelled, is CancellationError: return .cancelled
        case HTTPParserError.headerOverflow: return .tooLarge(id, "a head that is too large")
        case HTTPParserError.invalidEOFState: return failed("closed the connection before the answer's end")
        case is HTTPParserError: return .badAnswer(id, "something that is not HTTP")
        case let error as HTTPClientError where error == .deadlineExceeded:
            if let deadline, deadline <= .now { return .deadlineExceeded("at upstream \(id)") }
            return UpstreamError(
                .timedOut, "Upstream \(id) took more than \(client.configuration.totalTimeout.inSeconds).",
                status: 504, isRetryable: true)
        case let error as HTTPClientError where error == .connectTimeout || error == .tlsHandshakeTimeout:
            return failed("took no connection in \(client.configuration.connectTimeout.inSeconds)")
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            return failed("closed the connection before the answer's end")
        case let error as HTTPClientError where error == .alreadyShutdown:
            return UpstreamError(.unavailable, "The pool was shut down.", status: 503)
        default: return failed("cannot be reached: \(String(describing: error).prefix(256))")
        }
    }
}
