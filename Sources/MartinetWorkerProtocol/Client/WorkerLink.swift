internal import MartinetEngine
internal import SwiftProtobuf
internal import Synchronization

/// The frontend's end of a connection: its open requests, what is to be sent, and what the worker said last.
///
/// All calls of sinks come from the thread of ``LoopExecutor/client``, so one at a time.
final class WorkerLink: Sendable {
    fileprivate struct OpenRequest {
        var sink: any SequenceSink
        var samples: Range<Int>
        /// Samples that have ended, or of which nobody wants more.
        var done: Set<Int> = []
    }

    fileprivate struct State {
        var open: [UInt64: OpenRequest] = [:]
        var nextNumber: UInt64 = 0
        var outgoing: [WireFrontendMessage] = []
        var waiter: CheckedContinuation<Void, Never>?
        var hello: Result<WorkerDescription, WorkerProtocolError>?
        var helloWaiter: CheckedContinuation<Void, Never>?
        var statistics = EngineStatistics()
        var progress = WorkerProgress()
        var accepts = true
        /// Set by our own side: the end is no loss.
        var isStopped = false
        /// The call that writes is over.
        var writesNoMore = false
        /// Where messages go at once, in place of ``outgoing``.
        var direct: DirectChannel?
        var directFailure: String?
        var ending: EngineError?
    }

    private let state = Mutex(State())
    private let address: WorkerAddress
    private let onLost: @Sendable (EngineError) -> Void

    init(address: WorkerAddress, onLost: @escaping @Sendable (EngineError) -> Void) {
        self.address = address
        self.onLost = onLost
    }

    var openCount: Int { state.withLock { $0.open.count } }
    var progress: WorkerProgress { state.withLock(\.progress) }

    var statistics: EngineStatistics {
        state.withLock { state in
            var statistics = state.statistics
            // A worker that says nothing makes no progress.
            if state.progress.hasWork {
                statistics.secondsSinceProgress += (ContinuousClock.now - state.progress.lastMessage) / .seconds(1)
            }
            return statistics
        }
    }

    // MARK: Requests

    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        let samples = request.sampleIndex..<request.sampleIndex + request.sampleCount
        let result: Result<UInt64, EngineError> = state.withLock { state in
            if let error = state.ending { return .failure(error) }
            guard state.accepts else {
                return .failure(EngineError(.unavailable, "The server is shutting down and takes no new requests."))
            }
            let number = state.nextNumber
            state.nextNumber += 1
            state.open[number] = OpenRequest(sink: sink, samples: samples)
            return .success(number)
        }
        let number = try result.get()
        send(.with { $0.submit = WireSubmit(request, number: number) })
        return SequenceTicket { [weak self] sample in self?.cancel(number, sample: sample) }
    }

    private func cancel(_ number: UInt64, sample: Int?) {
        send(
            .with {
                $0.cancel.request = number
                if let sample { $0.cancel.sample = Int64(sample) }
            })
        // The sink learns it here, whenever the worker does; and on the thread of the other events.
        LoopExecutor.client.execute { [self] in abort(number, sample: sample) }
    }

    private func abort(_ number: UInt64, sample: Int?) {
        let (sink, events) = state.withLock { state -> ((any SequenceSink)?, [SequenceEvent]) in
            guard let request = state.open[number] else { return (nil, []) }
            let samples = sample.map { request.samples.contains($0) ? [$0] : [] } ?? Array(request.samples)
            let events = samples.filter { !request.done.contains($0) }
                .map { SequenceEvent(sample: $0, event: .finished(.abort)) }
            state.end(samples, of: number)
            return (request.sink, events)
        }
        if !events.isEmpty { sink?.publish(events) }
    }

    /// Takes no more requests; those here go on.
    func refuseMore() { state.withLock { $0.accepts = false } }

    // MARK: To the worker

    func send(_ message: WireFrontendMessage) {
        if let direct = state.withLock({ $0.ending == nil ? $0.direct : nil }) {
            // A request that cannot be encoded does not exist: its texts are Swift's own.
            if let frame = try? message.frame() { direct.send(frame) }
            return
        }
        wake {
            // After the end nobody would take it.
            if $0.ending == nil { $0.outgoing.append(message) }
        }
    }

    /// Sends what is to be sent by a direct connection from now on.
    func attach(_ direct: DirectChannel) { state.withLock { $0.direct = direct } }

    /// Why the direct connection was ended by our side; `nil` where it was not.
    var directFailure: String? {
        get { state.withLock(\.directFailure) }
        set { state.withLock { $0.directFailure = newValue } }
    }

    /// Ends the connection from our side.
    func stop() {
        wake {
            $0.accepts = false
            $0.isStopped = true
        }
    }

    /// All that is to be sent; waits for something. Empty at the end.
    func nextMessages() async -> [WireFrontendMessage] {
        await withTaskCancellationHandler {
            while true {
                let messages = state.withLock { state -> [WireFrontendMessage]? in
                    guard !state.isStopped, !state.writesNoMore else { return [] }
                    guard !state.outgoing.isEmpty else { return nil }
                    defer { state.outgoing = [] }
                    return state.outgoing
                }
                if let messages { return messages }
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        let isReady = !state.outgoing.isEmpty || state.isStopped || state.writesNoMore
                        if !isReady { state.waiter = continuation }
                        return isReady
                    }
                    if isReady { continuation.resume() }
                }
            }
        } onCancel: {
            wake { $0.writesNoMore = true }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let waiter = state.withLock { state in
            change(&state)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    // MARK: From the worker

    /// Waits for the worker's first message.
    func hello() async throws(WorkerProtocolError) -> WorkerDescription {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.hello == nil { state.helloWaiter = continuation }
                return state.hello != nil
            }
            if isThere { continuation.resume() }
        }
        let hello = state.withLock(\.hello)
        guard let hello else { throw WorkerProtocolError(.unreachable, "\(address) said nothing.") }
        return try hello.get()
    }

    /// Settles what ``hello()`` waits for, where nothing has yet.
    func settleHello(_ result: Result<WorkerDescription, WorkerProtocolError>) {
        let waiter = state.withLock { state in
            if state.hello == nil { state.hello = result }
            defer { state.helloWaiter = nil }
            return state.helloWaiter
        }
        waiter?.resume()
    }

    /// Takes a message.
    ///
    /// - Throws: ``WorkerProtocolError`` where it makes no sense; the connection is to be ended then.
    func receive(_ message: WireWorkerMessage) throws(WorkerProtocolError) {
        let hello = state.withLock { state in
            state.progress.lastMessage = .now
            return state.hello
        }
        guard case .success(let description) = hello else {
            guard case .hello(let wire) = message.message else {
                throw WorkerProtocolError(
                    .protocolViolation, "\(address) is no worker: it does not say what it serves.")
            }
            return settleHello(.success(try WorkerDescription(wire)))
        }
        switch message.message {
        case .step(let step):
            try receive(step, vocabularySize: description.limits.vocabularySize)
        case .refused(let refused):
            fail(refused.request, EngineError(refused.failure))
        case .heartbeat(let heartbeat):
            let statistics = EngineStatistics(heartbeat.statistics)
            state.withLock { state in
                state.statistics = statistics
                state.progress.steps = statistics.steps
                state.progress.hasWork = heartbeat.hasWork_p
                state.progress.isDraining = heartbeat.draining
            }
        case .hello, nil:
            throw WorkerProtocolError(.protocolViolation, "\(address) sent a message of an unexpected kind.")
        }
    }

    private func receive(_ step: WireStep, vocabularySize: Int) throws(WorkerProtocolError) {
        let statistics = EngineStatistics(step.statistics)
        state.withLock { state in
            state.statistics = statistics
            state.progress.steps = statistics.steps
            state.progress.hasWork = statistics.running + statistics.waiting > 0
        }
        var reader = try StepEvents(step, vocabularySize: vocabularySize)
        var events: [SequenceEvent] = []
        var current: UInt64 = 0
        while let (request, item) = try reader.next() {
            if request != current {
                try publish(events, of: current)
                events = []
                current = request
            }
            switch item {
            case .event(let event): events.append(event)
            case .failed(let error):
                try publish(events, of: current)
                events = []
                fail(request, error)
            }
        }
        try publish(events, of: current)
    }

    private func publish(_ events: [SequenceEvent], of number: UInt64) throws(WorkerProtocolError) {
        guard !events.isEmpty else { return }
        // What is unknown was cancelled before the worker knew.
        guard let request = state.withLock({ $0.open[number] }) else { return }
        guard events.allSatisfy({ request.samples.contains($0.sample) }) else {
            throw WorkerProtocolError(.protocolViolation, "\(address) sent events of a sample that nobody asked for.")
        }
        var wanted = events
        let ends = events.contains(where: \.isEnd)
        if ends || !request.done.isEmpty {
            var done = request.done
            wanted = events.filter { event in
                guard !done.contains(event.sample) else { return false }
                if event.isEnd { done.insert(event.sample) }
                return true
            }
            if ends { state.withLock { $0.end(Array(done), of: number) } }
        }
        if !wanted.isEmpty { request.sink.publish(wanted) }
    }

    private func fail(_ number: UInt64, _ error: EngineError) {
        let request = state.withLock { $0.open.removeValue(forKey: number) }
        request?.sink.fail(error)
    }

    /// The connection has ended: fails what is open, once; where we ended it, aborts it.
    ///
    /// - Parameter reason: why, where that is known.
    func end(_ reason: String?) async {
        let why = reason ?? "it closed the connection"
        settleHello(.failure(WorkerProtocolError(.unreachable, "No worker can be reached at \(address): \(why).")))
        let error = EngineError(.workerLost, "The worker at \(address) was lost: \(why).")
        await withCheckedContinuation { continuation in
            LoopExecutor.client.execute { [self] in
                endOpenRequests(error)
                continuation.resume()
            }
        }
    }

    private func endOpenRequests(_ error: EngineError) {
        let (requests, isStopped) = state.withLock { state in
            state.accepts = false
            state.ending = error
            state.outgoing = []
            state.progress.isConnected = false
            state.statistics.failure = error.message
            defer { state.open = [:] }
            return (Array(state.open.values), state.isStopped)
        }
        for request in requests {
            if isStopped {
                request.sink.publish(
                    request.samples.filter { !request.done.contains($0) }
                        .map { SequenceEvent(sample: $0, event: .finished(.abort)) })
            } else {
                request.sink.fail(error)
            }
        }
        if !isStopped { onLost(error) }
    }
}

extension WorkerLink.State {
    /// Marks samples as ended; the request ends with the last.
    mutating func end(_ samples: [Int], of number: UInt64) {
        open[number]?.done.formUnion(samples)
        if let request = open[number], request.done.count == request.samples.count { open[number] = nil }
    }
}
