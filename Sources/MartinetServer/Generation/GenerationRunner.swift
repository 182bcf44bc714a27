internal import MartinetJSON
internal import HTTPTypes
internal import MartinetTelemetry
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetWebSocketHTTP
internal import NIOCore

/// Runs a decoded request on the engine and writes its answer, whole or as a stream.
struct GenerationRunner: Sendable {
    let state: ServerState
    let metrics: ServerMetrics
    let logger: Logger
    /// How long a stream may be silent before a comment says that it lives; zero for ever.
    var keepAlive = Duration.zero

    /// Who asks: what is known of the request, and whether its client is still there.
    struct Caller: Sendable {
        let record: RequestRecord
        let monitor: ConnectionMonitor?
    }

    /// What a request that came to its end brought, for all its prompts.
    func collect(
        _ requests: [InferenceRequest], on deployment: Deployment, context: MartinetContext
    ) async throws -> [InferenceResult] {
        try await collect(
            requests, on: deployment, for: Caller(record: context.record, monitor: context.connection?.monitor))
    }

    /// What a request that came to its end brought, for all its prompts.
    func collect(
        _ requests: [InferenceRequest], on deployment: Deployment, for caller: Caller
    ) async throws -> [InferenceResult] {
        var results = requests.map { request in
            InferenceResult(promptTokenCount: request.prompt.count, sampleCount: request.sampleCount)
        }
        _ = try await follow(requests, on: deployment, for: caller) { batch in
            for (prompt, events) in batch { for event in events { results[prompt].add(event) } }
        }
        return results
    }

    /// Hands over what a request brings as it comes, and waits while that is taken.
    ///
    /// - Returns: the tokens that it took.
    func follow(
        _ requests: [InferenceRequest], on deployment: Deployment, for caller: Caller,
        _ take: (EventMerger.Batch) async throws -> Void
    ) async throws -> Usage {
        try state.beginGeneration()
        defer { state.endGeneration() }
        var record = GenerationRecord(
            requests, metrics: metrics, model: metrics.model(deployment), counts: !caller.record.isShadow)
        var outcome = ServerMetrics.Outcome.failure
        defer { finish(record, outcome, caller.record) }
        let merger = EventMerger(try submit(requests, to: deployment.service))
        defer { merger.cancel() }
        let observer = caller.monitor?.onClose { merger.cancel() }
        defer { if let observer { caller.monitor?.remove(observer) } }
        do {
            while let batch = try await merger.next() {
                let now = ContinuousClock.now
                for (prompt, events) in batch {
                    for event in events { record.add(event, prompt: prompt, at: now) }
                }
                try await take(batch)
            }
        } catch let error as EngineError {
            throw APIError(error)
        } catch {
            // What takes the events fails where their reader has left.
            merger.cancel()
        }
        guard !merger.isCancelled else {
            outcome = .disconnect
            throw APIError(status: 499, "The client left.", code: "client_closed_request")
        }
        outcome = .success
        return record.usage
    }

    /// A stream of events. The engine takes the request before the head is sent, so that a refusal has its status.
    ///
    /// - Parameter waitsForFirst: waits for the first event too, so that a failure before it has its status.
    func stream(
        _ requests: [InferenceRequest], on deployment: Deployment, encoding: some StreamEncoding,
        waitsForFirst: Bool = false, context: MartinetContext
    ) async throws -> Response {
        try state.beginGeneration()
        var started: EventMerger?
        let merger: EventMerger
        var first: EventMerger.Batch = []
        let record = GenerationRecord(
            requests, metrics: metrics, model: metrics.model(deployment), counts: !context.record.isShadow)
        do {
            merger = EventMerger(try submit(requests, to: deployment.service))
            started = merger
            if waitsForFirst { first = try await merger.next() ?? [] }
        } catch {
            // The other prompts' streams must not go on for nobody.
            started?.cancel()
            state.endGeneration()
            finish(record, .failure, context.record)
            throw (error as? EngineError).map(APIError.init) ?? error
        }
        // The body's writer may never run where the client left already; then this one's end ends the request.
        let lease = Lease { [self] isWritten in
            merger.cancel()
            state.endGeneration()
            guard !isWritten else { return }
            finish(record, .disconnect, context.record)
            context.record.write(to: logger)
        }
        var headers: HTTPFields = [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache"]
        // Proxies such as nginx must not collect the stream.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return Response(
            status: .ok,
            headers: headers,
            body: ResponseBody { [first] writer in
                lease.markWritten()
                let monitor = context.connection?.monitor
                let observer = monitor?.onClose { merger.cancel() }
                defer { if let observer { monitor?.remove(observer) } }
                try await write(first, merger, record: record, encoding: encoding, to: &writer, context: context)
                withExtendedLifetime(lease) {}
            })
    }

    private func write(
        _ first: EventMerger.Batch, _ merger: EventMerger, record: GenerationRecord, encoding: some StreamEncoding,
        to writer: inout any ResponseBodyWriter, context: MartinetContext
    ) async throws {
        var record = record
        var encoding = encoding
        var outcome = ServerMetrics.Outcome.disconnect
        defer {
            finish(record, outcome, context.record)
            context.record.write(to: logger)
        }
        var json = JSONWriter()
        let alarm = alarm(merger)
        defer { alarm?.cancel() }
        do {
            var ready: EventMerger.Batch? = first
            if first.isEmpty { ready = try await merger.next() }
            while let batch = ready {
                if batch.isEmpty { json.raw(type(of: encoding).keepAlive) }
                let now = ContinuousClock.now
                for (prompt, events) in batch {
                    for event in events {
                        record.add(event, prompt: prompt, at: now)
                        encoding.encode(event, prompt: prompt, usage: record.usage, into: &json)
                    }
                }
                // Waits while the client does not read: what comes meanwhile goes out as one write.
                if !json.bytes.isEmpty { try await writer.write(ByteBuffer(bytes: json.bytes)) }
                json.removeAll()
                ready = try await merger.next()
            }
            guard !merger.isCancelled else { return }
            try await encoding.complete(record.usage)
            encoding.finish(record.usage, into: &json)
            json.raw(type(of: encoding).terminator)
            outcome = .success
        } catch {
            guard let error = (error as? EngineError).map(APIError.init) ?? error as? APIError else { throw error }
            outcome = .failure
            json.removeAll()
            encoding.fail(error, into: &json)
            json.raw(type(of: encoding).terminator)
        }
        try await writer.write(ByteBuffer(bytes: json.bytes))
        try await writer.finish(nil)
    }

    /// Wakes the writer of a stream that has nothing to write for long.
    private func alarm(_ merger: EventMerger) -> Task<Void, Never>? {
        guard keepAlive > .zero else { return nil }
        return Task { [keepAlive] in
            var rest = keepAlive
            while (try? await Task.sleep(for: rest)) != nil { rest = merger.nudge(after: keepAlive) }
        }
    }

    private func submit(
        _ requests: [InferenceRequest], to service: any InferenceService
    ) throws(APIError) -> [EventMerger.Events] {
        var streams: [EventMerger.Events] = []
        do {
            for request in requests { streams.append(try service.generate(request)) }
        } catch {
            throw APIError(error)
        }
        return streams
    }

    private func finish(_ record: GenerationRecord, _ outcome: ServerMetrics.Outcome, _ request: RequestRecord) {
        record.finish(outcome)
        request.update { facts in
            facts.usage = record.usage
            facts.firstTokenSeconds = record.firstTokenSeconds
            facts.outcome = outcome.rawValue
        }
    }
}
