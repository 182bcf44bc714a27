import Foundation
import MartinetEngine
import Synchronization

/// An engine that computes nothing: each step gives every open sequence its next token at once. What is left of a
/// request's cost is the server's.
final class InstantEngine: SequenceEngine {
    private struct Sequence {
        let sink: any SequenceSink
        let ticket: SequenceTicket
        let sample: Int
        var left: Int
    }

    private struct State {
        var open: [Sequence] = []
        var isStopped = false
    }

    let limits: SequenceLimits
    private let token: Int32
    private let interval: Duration?
    private let state = Mutex(State())
    private let doorbell = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - token: the one that every sequence consists of.
    ///   - interval: the least time from one step to the next; `nil` for none.
    init(limits: SequenceLimits, token: Int32, interval: Duration? = nil) {
        self.limits = limits
        self.interval = interval
        self.token = token
        Thread.detachNewThread { [self] in run() }
    }

    func submit(_ request: EngineRequest, to sink: any SequenceSink) throws(EngineError) -> SequenceTicket {
        try request.validate(limits)
        let ticket = SequenceTicket { _ in }
        let samples = request.sampleIndex..<request.sampleIndex + request.sampleCount
        let left = request.sampling.maxTokens ?? 16
        state.withLock { state in
            state.open += samples.map { Sequence(sink: sink, ticket: ticket, sample: $0, left: left) }
        }
        sink.publish(samples.map { SequenceEvent(sample: $0, event: .prompt(cached: 0, logprobs: nil)) })
        doorbell.signal()
        return ticket
    }

    private func run() {
        while true {
            doorbell.wait()
            var next = ContinuousClock.now
            while step() {
                guard let interval else { continue }
                next = max(next + interval, .now)
                let wait = (next - .now) / .seconds(1)
                if wait > 0 { Thread.sleep(forTimeInterval: wait) }
            }
            if state.withLock(\.isStopped) { return }
        }
    }

    /// Whether there was anything to do.
    private func step() -> Bool {
        let sequences = state.withLock { state in
            let sequences = state.open.filter { !$0.ticket.isCancelled(sample: $0.sample) }
            state.open = sequences.compactMap { sequence in
                var sequence = sequence
                sequence.left -= 1
                return sequence.left > 0 ? sequence : nil
            }
            return sequences
        }
        for sequence in sequences {
            var events = [SequenceEvent(sample: sequence.sample, event: .token(token, logprobs: nil))]
            if sequence.left == 1 { events.append(SequenceEvent(sample: sequence.sample, event: .finished(.length))) }
            sequence.sink.publish(events)
        }
        return !sequences.isEmpty
    }

    func statistics() -> EngineStatistics { EngineStatistics() }
    func shutdown(deadline: Duration) async { stop() }

    func stop() {
        state.withLock { $0.isStopped = true }
        doorbell.signal()
    }
}
