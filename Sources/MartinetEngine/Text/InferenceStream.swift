internal import MartinetTokenizers
internal import Synchronization

/// The events of one request, as they come: each element is all that was ready.
///
/// There is one reader. Leaving the loop, dropping the stream or cancelling the reading task cancels the request.
public struct InferenceStream: AsyncSequence, Sendable {
    /// What is ready.
    public typealias Element = [InferenceEvent]
    /// Why a stream breaks off.
    public typealias Failure = EngineError

    let subscription: Subscription
    let request: InferenceRequest
    let tokenizer: any Tokenizer
    let endTokens: Set<Int32>

    /// Begins to read.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(subscription: subscription, request: request, tokenizer: tokenizer, endTokens: endTokens)
    }

    /// Ends the request when nobody holds it any more.
    final class Subscription: Sendable {
        let engine: Engine
        let mailbox: Mailbox
        /// Samples that the engine accepted and does not have yet.
        private let reserved: Atomic<Int>

        init(engine: Engine, mailbox: Mailbox, reserved: Int) {
            self.engine = engine
            self.mailbox = mailbox
            self.reserved = Atomic(reserved)
        }

        /// Gives the engine the samples that it accepted.
        func submit(_ requests: [EngineRequest]) {
            guard !requests.isEmpty, reserved.exchange(0, ordering: .relaxed) == requests.count else { return }
            engine.submitReserved(requests, to: mailbox)
        }

        deinit {
            mailbox.close()
            engine.releaseReserved(reserved.load(ordering: .relaxed))
            engine.ring()
        }
    }

    /// Turns tokens into text while reading.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private struct Sample {
            var detokenizer: IncrementalDetokenizer
            var stops: StopTextMatcher
            var tokenCount = 0
            var isFinished = false
        }

        private let subscription: Subscription
        private let request: InferenceRequest
        private let endTokens: Set<Int32>
        private var samples: [Sample]
        private var unfinished: Int
        private var sentPrompt = false

        init(
            subscription: Subscription, request: InferenceRequest, tokenizer: any Tokenizer, endTokens: Set<Int32>
        ) {
            self.subscription = subscription
            self.request = request
            self.endTokens = endTokens
            let sample = Sample(
                detokenizer: IncrementalDetokenizer(tokenizer, includeSpecial: !request.skipSpecialTokens),
                stops: StopTextMatcher(stops: request.stop, includesStop: request.includeStopText))
            samples = Array(repeating: sample, count: request.sampleCount)
            unfinished = request.sampleCount
        }

        /// The next events, or `nil` after the last sample ended or the reading task was cancelled.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(EngineError) -> [InferenceEvent]? {
            while unfinished > 0 {
                switch await subscription.mailbox.next() {
                case .closed: return nil
                case .failed(let error): throw error
                case .items(let items):
                    let events = process(items)
                    if !events.isEmpty { return events }
                }
            }
            return nil
        }

        /// The same, for callers without isolation.
        public mutating func next() async throws(EngineError) -> [InferenceEvent]? { try await next(isolation: nil) }

        private mutating func process(_ items: [Mailbox.Item]) -> [InferenceEvent] {
            var events: [InferenceEvent] = []
            for item in items where !samples[item.sample].isFinished {
                switch item.event {
                case .prompt(let cached, let logprobs):
                    guard !sentPrompt else { continue }
                    sentPrompt = true
                    events.append(
                        .prompt(
                            InferencePrompt(
                                tokenCount: request.prompt.count, cachedTokenCount: cached, logprobs: logprobs)))
                    submitOtherSamples()
                case .token(let token, let logprobs):
                    take(token, logprobs, sample: item.sample, into: &events)
                case .finished(let reason):
                    finish(item.sample, reason, stopText: nil, into: &events)
                    guard !sentPrompt else { continue }
                    // Aborted before its prompt was processed: the other samples will never start.
                    for index in samples.indices where !samples[index].isFinished {
                        finish(index, reason, stopText: nil, into: &events)
                    }
                }
            }
            return events
        }

        /// The other samples start when the first has left the prompt's blocks in the prefix cache.
        private func submitOtherSamples() {
            var sampling = request.sampling
            sampling.promptLogprobs = nil
            subscription.submit(
                (1..<Swift.max(1, request.sampleCount)).map { index in
                    EngineRequest(
                        id: request.id, prompt: request.prompt, sampling: sampling, sampleIndex: index,
                        priority: request.priority, cacheSalt: request.cacheSalt)
                })
        }

        private mutating func take(
            _ token: Int32, _ logprobs: TokenLogprobs?, sample index: Int, into events: inout [InferenceEvent]
        ) {
            samples[index].tokenCount += 1
            // The token that ends a generation adds no text, as its spelling is not part of the answer.
            let isEnd =
                request.sampling.stopTokens.contains(token)
                || (!request.sampling.ignoreEndOfText && endTokens.contains(token))
            let text = isEnd && request.skipSpecialTokens ? "" : samples[index].detokenizer.append(token)
            let searches = samples[index].tokenCount > request.sampling.minTokens
            let output = samples[index].stops.append(text, searches: searches)
            append(
                InferenceDelta(index: index, text: output.text, tokens: [token], logprobs: logprobs.map { [$0] } ?? []),
                to: &events)
            if let stop = output.stop {
                subscription.mailbox.cancel(sample: index)
                subscription.engine.ring()
                finish(index, .stop, stopText: stop, into: &events)
            }
        }

        private mutating func finish(
            _ index: Int, _ reason: FinishReason, stopText: String?, into events: inout [InferenceEvent]
        ) {
            samples[index].isFinished = true
            unfinished -= 1
            if stopText == nil {
                var output = samples[index].stops.append(samples[index].detokenizer.finish())
                if output.stop == nil { output.text += samples[index].stops.finish() }
                if !output.text.isEmpty {
                    append(InferenceDelta(index: index, text: output.text, tokens: [], logprobs: []), to: &events)
                }
            }
            events.append(.finished(index: index, reason: reason, stopText: stopText))
        }

        /// Joins what a sample adds in one go.
        private func append(_ delta: InferenceDelta, to events: inout [InferenceEvent]) {
            if case .output(var last)? = events.last, last.index == delta.index {
                last.text += delta.text
                last.tokens += delta.tokens
                last.logprobs += delta.logprobs
                events[events.count - 1] = .output(last)
            } else {
                events.append(.output(delta))
            }
        }
    }
}
