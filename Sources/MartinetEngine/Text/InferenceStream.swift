internal import MartinetTokenizers

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
        let mailbox: Mailbox
        let ticket: SequenceTicket

        init(mailbox: Mailbox, ticket: SequenceTicket) {
            self.mailbox = mailbox
            self.ticket = ticket
        }

        deinit {
            mailbox.close()
            ticket.cancel()
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
                detokenizer: IncrementalDetokenizer(
                    tokenizer, includeSpecial: !request.skipSpecialTokens, shown: request.shownTokens),
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

        private mutating func process(_ items: [SequenceEvent]) -> [InferenceEvent] {
            var events: [InferenceEvent] = []
            for item in items where samples.indices.contains(item.sample) && !samples[item.sample].isFinished {
                switch item.event {
                case .prompt(let cached, let logprobs):
                    guard !sentPrompt else { continue }
                    sentPrompt = true
                    events.append(
                        .prompt(
                            InferencePrompt(
                                tokenCount: request.prompt.count, cachedTokenCount: cached, logprobs: logprobs)))
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
                subscription.ticket.cancel(sample: index)
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
