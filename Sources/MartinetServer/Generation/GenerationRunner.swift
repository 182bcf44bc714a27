internal import MartinetJSON
internal import HTTPTypes
internal import MartinetTelemetry
internal import Hummingbird
internal import Logging
internal import MartinetAPI
internal import MartinetEngine
internal import NIOCore

/// Runs a decoded request on the engine and writes its answer, whole or as a stream.
struct GenerationRunner: Sendable {
    let state: ServerState
    let metrics: ServerMetrics
    let logger: Logger

    /// What a request that came to its end brought, for all its prompts.
    func collect(
        _ requests: [InferenceRequest], on deployment: Deployment, context: MartinetContext
    ) async throws -> [InferenceResult] {
        try state.beginGeneration()
        defer { state.endGeneration() }
        var record = GenerationRecord(
            requests, metrics: metrics, model: metrics.model(deployment), counts: !context.record.isShadow)
        var outcome = ServerMetrics.Outcome.failure
        defer { finish(record, outcome, context: context) }
        let merger = EventMerger(try submit(requests, to: deployment.service))
        defer { merger.cancel() }
        let monitor = await context.channel.connectionMonitor()
        let observer = monitor?.onClose { merger.cancel() }
        defer { if let observer { monitor?.remove(observer) } }

        var results = requests.map { request in
            InferenceResult(promptTokenCount: request.prompt.count, sampleCount: request.sampleCount)
        }
        do {
            while let batch = try await merger.next() {
                let now = ContinuousClock.now
                for (prompt, events) in batch {
                    for event in events {
                        record.add(event, prompt: prompt, at: now)
                        results[prompt].add(event)
                    }
                }
            }
        } catch {
            throw APIError(error)
        }
        guard !merger.isCancelled else {
            outcome = .disconnect
            throw APIError(status: 499, "The client left.", code: "client_closed_request")
        }
        outcome = .success
        return results
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
            finish(record, .failure, context: context)
            throw (error as? EngineError).map(APIError.init) ?? error
        }
        // The body's writer may never run where the client left already; then this one's end ends the request.
        let lease = Lease { [self] isWritten in
            merger.cancel()
            state.endGeneration()
            guard !isWritten else { return }
            finish(record, .disconnect, context: context)
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
                let monitor = await context.channel.connectionMonitor()
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
            finish(record, outcome, context: context)
            context.record.write(to: logger)
        }
        var json = JSONWriter()
        do {
            var ready: EventMerger.Batch? = first
            if first.isEmpty { ready = try await merger.next() }
            while let batch = ready {
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

    private func finish(_ record: GenerationRecord, _ outcome: ServerMetrics.Outcome, context: MartinetContext) {
        record.finish(outcome)
        context.record.update { facts in
            facts.usage = record.usage
            facts.firstTokenSeconds = record.firstTokenSeconds
            facts.outcome = outcome.rawValue
        }
    }
}
