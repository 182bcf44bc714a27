internal import MartinetEngine
internal import SwiftProtobuf
internal import Synchronization

/// One frontend: its open requests, and what is ready to be sent to it.
final class FrontendConnection: Sendable {
    fileprivate struct OpenRequest {
        var samples: Range<Int>
        /// Samples that have ended or that nobody wants any more.
        var done: Set<Int> = []
        /// Set when the engine has taken the request.
        var ticket: SequenceTicket?
    }

    fileprivate struct State {
        var open: [UInt64: OpenRequest] = [:]
        var step = WireStep()
        var refusals: [WireRefused] = []
        /// About how many numbers wait to be sent.
        var size = 0
        var heartbeat: WireHeartbeat?
        var ends = false
        var writingSince: ContinuousClock.Instant?
        var waiter: CheckedContinuation<Void, Never>?

        var isReady: Bool { !step.requests.isEmpty || !refusals.isEmpty || heartbeat != nil || ends }
    }

    private let state = Mutex(State())
    /// Held while a message is taken and sent, so that messages go in the order in which they were made.
    private let writing = Mutex(())
    private let engine: any SequenceEngine
    private let limits: WorkerServer.Limits
    /// Where messages are written by whoever wakes it; `nil` where a task asks for ``messages()``.
    private let direct: DirectChannel?

    init(engine: any SequenceEngine, limits: WorkerServer.Limits, direct: DirectChannel? = nil) {
        self.engine = engine
        self.limits = limits
        self.direct = direct
        direct?.whenWritable { [weak self] in self?.flush() }
    }

    /// Requests that have not ended.
    var openCount: Int { state.withLock { $0.open.count } }

    // MARK: From the frontend

    /// Gives a request to the engine, or tells the frontend why not.
    ///
    /// - Throws: ``WorkerProtocolError`` where the number is in use.
    func submit(_ wire: WireSubmit) throws(WorkerProtocolError) {
        let number = wire.request
        // One task reads what a frontend sends, so nobody else adds numbers.
        guard state.withLock({ $0.open[number] == nil }) else {
            throw WorkerProtocolError(.protocolViolation, "Request number \(number) is in use already.")
        }
        do throws(EngineError) {
            try start(EngineRequest(wire), number: number)
        } catch {
            refuse(number, error)
        }
    }

    /// Tells the frontend that a request is not taken.
    func refuse(_ number: UInt64, _ error: EngineError) {
        var refused = WireRefused()
        refused.request = number
        refused.failure = WireFailure(error)
        wake {
            $0.open[number] = nil
            $0.refusals.append(refused)
            $0.size += 8
        }
    }

    private func start(_ request: EngineRequest, number: UInt64) throws(EngineError) {
        try request.validate(engine.limits)
        let samples = request.sampleIndex..<request.sampleIndex + request.sampleCount
        // Events may come before the engine's method returns.
        state.withLock { $0.open[number] = OpenRequest(samples: samples) }
        let ticket = try engine.submit(request, to: RequestSink(number: number, connection: self))
        state.withLock { $0.open[number]?.ticket = ticket }
    }

    /// Ends a request, or a sample of it. What is unknown has ended already.
    func cancel(_ wire: WireCancel) {
        let sample = wire.hasSample ? Int(wire.sample) : nil
        let ticket = state.withLock { state -> SequenceTicket? in
            guard let request = state.open[wire.request] else { return nil }
            if let sample {
                guard request.samples.contains(sample) else { return nil }
                state.open[wire.request]?.end(sample)
                if state.open[wire.request]?.isDone == true { state.open[wire.request] = nil }
            } else {
                state.open[wire.request] = nil
            }
            return request.ticket
        }
        if let sample { ticket?.cancel(sample: sample) } else { ticket?.cancel() }
    }

    /// Cancels everything: the frontend is gone.
    func close() {
        let tickets = state.withLock { state in
            defer { state.open = [:] }
            return state.open.values.compactMap(\.ticket)
        }
        for ticket in tickets { ticket.cancel() }
    }

    // MARK: From the engine

    fileprivate func add(_ events: [SequenceEvent], of number: UInt64) {
        state.withLock { state in
            guard let request = state.open[number] else { return }
            guard request.done.isEmpty, !events.contains(where: \.isEnd) else {
                return state.addCarefully(events, of: number)
            }
            state.size += state.step.append(events, of: number)
        }
    }

    fileprivate func fail(_ error: EngineError, of number: UInt64) {
        state.withLock { state in
            guard state.open.removeValue(forKey: number) != nil else { return }
            state.step.append(error, of: number)
            state.size += 8
        }
    }

    // MARK: To the frontend

    /// Wakes the writer where there is something to send: at a step's end, not at each event.
    func flush() { wake { _ in } }

    /// Lets a heartbeat go out.
    ///
    /// - Throws: ``WorkerProtocolError`` where the frontend has not read for long.
    func beat(draining: Bool) throws(WorkerProtocolError) {
        let isStuck = state.withLock { state in
            state.size > limits.outboxSize
                || state.writingSince.map { ContinuousClock.now - $0 > limits.writeTimeout } ?? false
        }
        guard !isStuck else {
            throw WorkerProtocolError(.protocolViolation, "The frontend does not read what is sent to it.")
        }
        let statistics = engine.statistics()
        let heartbeat = WireHeartbeat.with {
            $0.statistics = WireStatistics(statistics)
            $0.hasWork_p = statistics.running + statistics.waiting > 0
            $0.draining = draining
        }
        wake { $0.heartbeat = heartbeat }
    }

    /// Ends the connection when everything is sent.
    func finish() { wake { $0.ends = true } }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            change(&state)
            guard state.isReady else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
        if let direct { write(to: direct) }
    }

    /// Writes what is ready, unless the frontend has yet to read what went before.
    private func write(to direct: DirectChannel) {
        let isOver = writing.withLock { _ in
            guard !direct.isBlocked else { return false }
            let (isReady, ends) = state.withLock { state in
                state.writingSince = nil
                return (state.isReady, state.ends)
            }
            if isReady {
                // A message that cannot be encoded is one that the frontend could not make sense of either.
                let frames = takeReady().compactMap { try? $0.frame() }
                direct.send(Array(frames.joined()))
            }
            let isBlocked = direct.isBlocked
            state.withLock { if !isBlocked { $0.writingSince = nil } }
            return ends && !isBlocked
        }
        if isOver { direct.close() }
    }

    /// All that is ready; waits for something. Empty at the end, or when the task is cancelled.
    func messages() async -> [WireWorkerMessage] {
        await withTaskCancellationHandler {
            while true {
                let isReady = state.withLock { state in
                    state.writingSince = nil
                    return state.isReady
                }
                if isReady { return takeReady() }
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if !state.isReady { state.waiter = continuation }
                        return state.isReady
                    }
                    if isReady { continuation.resume() }
                }
            }
        } onCancel: {
            finish()
        }
    }

    private func takeReady() -> [WireWorkerMessage] {
        let (step, refusals, heartbeat) = state.withLock { state in
            defer {
                state.step = WireStep()
                state.refusals = []
                state.size = 0
                state.heartbeat = nil
                state.writingSince = .now
            }
            return (state.step, state.refusals, state.heartbeat)
        }
        var messages = refusals.map { refused in WireWorkerMessage.with { $0.refused = refused } }
        if !step.requests.isEmpty {
            var step = step
            step.statistics = WireStatistics(engine.statistics())
            messages.append(.with { $0.step = step })
        }
        if let heartbeat { messages.append(.with { $0.heartbeat = heartbeat }) }
        return messages
    }
}

extension FrontendConnection.OpenRequest {
    var isDone: Bool { done.count == samples.count }

    mutating func end(_ sample: Int) { if samples.contains(sample) { done.insert(sample) } }
}

extension FrontendConnection.State {
    /// Adds events of which some end a sample, or belong to one that has ended.
    mutating func addCarefully(_ events: [SequenceEvent], of number: UInt64) {
        for event in events {
            guard let request = open[number], !request.done.contains(event.sample) else { continue }
            size += step.append([event], of: number)
            if event.isEnd { open[number]?.end(event.sample) }
            if open[number]?.isDone == true { open[number] = nil }
        }
    }
}

extension SequenceEvent {
    var isEnd: Bool { if case .finished = event { true } else { false } }
}

/// Takes an engine's events of one request to its connection.
private final class RequestSink: SequenceSink {
    private let number: UInt64
    private let connection: FrontendConnection

    init(number: UInt64, connection: FrontendConnection) {
        self.number = number
        self.connection = connection
    }

    func publish(_ events: [SequenceEvent]) { connection.add(events, of: number) }
    func fail(_ error: EngineError) { connection.fail(error, of: number) }
}
