package import MartinetEngine

extension WireStep {
    /// Adds events of a request.
    ///
    /// - Returns: about how many numbers they brought.
    @discardableResult
    package mutating func append(_ events: [SequenceEvent], of request: UInt64) -> Int {
        var size = 0
        for event in events {
            requests.append(request)
            samples.append(Int64(event.sample))
            size += 4
            switch event.event {
            case .token(let token, nil):
                kinds.append(.token)
                tokens.append(token)
            case .token(let token, let reported?):
                kinds.append(.tokenWithLogprobs)
                tokens.append(token)
                logprobs.append(WireLogprobs(reported))
                size += reported.top.count * 3
            case .prompt(let cached, let reported):
                kinds.append(.prompt)
                var prompt = WirePrompt()
                prompt.cached = Int64(cached)
                if let reported {
                    prompt.hasLogprobs_p = true
                    prompt.logprobs = reported.map { $0.map { WireLogprobs($0) } ?? WireLogprobs() }
                    size += reported.count * (3 + 3 * (reported.last.flatMap { $0?.top.count } ?? 0))
                }
                prompts.append(prompt)
            case .embedding(let embedding):
                kinds.append(.embedding)
                var wire = WireEmbedding()
                wire.values = embedding.values
                embeddings.append(wire)
                size += embedding.values.count
            case .finished(.stop): kinds.append(.finishedStop)
            case .finished(.length): kinds.append(.finishedLength)
            case .finished(.abort): kinds.append(.finishedAbort)
            }
        }
        return size
    }

    /// Adds a request's end by an error.
    package mutating func append(_ error: EngineError, of request: UInt64) {
        requests.append(request)
        samples.append(0)
        kinds.append(.failed)
        failures.append(WireFailure(error))
    }
}

extension WireLogprobs {
    init(_ reported: TokenLogprobs) {
        for entry in [reported.chosen] + reported.top {
            tokens.append(entry.token)
            logprobs.append(entry.logprob)
            ranks.append(Int64(entry.rank))
        }
    }
}

/// Reads the columns of a step's message, event by event.
package struct StepEvents {
    /// What a worker says of a request.
    package enum Item {
        /// An event of a sample.
        case event(SequenceEvent)
        /// The request ended by an error.
        case failed(EngineError)
    }

    private let step: WireStep
    private let vocabularySize: Int
    private var index = 0
    private var nextToken = 0
    private var nextLogprobs = 0
    private var nextPrompt = 0
    private var nextFailure = 0
    private var nextEmbedding = 0

    /// Begins with the first event.
    ///
    /// - Parameter vocabularySize: token ids are below it.
    /// - Throws: ``WorkerProtocolError`` where the columns differ in length.
    package init(_ step: WireStep, vocabularySize: Int) throws(WorkerProtocolError) {
        guard step.requests.count == step.kinds.count, step.samples.count == step.kinds.count else {
            throw Self.violation("a step's columns differ in length")
        }
        self.step = step
        self.vocabularySize = vocabularySize
    }

    /// The next event and the number of its request; `nil` at the end.
    ///
    /// - Throws: ``WorkerProtocolError`` where the message contradicts itself or the vocabulary.
    package mutating func next() throws(WorkerProtocolError) -> (request: UInt64, item: Item)? {
        guard index < step.kinds.count else { return nil }
        defer { index += 1 }
        let event: TokenEvent
        switch step.kinds[index] {
        case .token: event = .token(try token(), logprobs: nil)
        case .tokenWithLogprobs:
            let token = try token()
            guard let wire = Self.take(step.logprobs, &nextLogprobs), let reported = try logprobs(wire) else {
                throw Self.violation("a token's log probabilities are missing")
            }
            event = .token(token, logprobs: reported)
        case .prompt: event = try prompt()
        case .embedding:
            guard let wire = Self.take(step.embeddings, &nextEmbedding), !wire.values.isEmpty,
                wire.values.allSatisfy(\.isFinite)
            else { throw Self.violation("an embedding is missing or holds what is no number") }
            event = .embedding(Embedding(values: wire.values))
        case .finishedStop: event = .finished(.stop)
        case .finishedLength: event = .finished(.length)
        case .finishedAbort: event = .finished(.abort)
        case .failed:
            guard let failure = Self.take(step.failures, &nextFailure) else {
                throw Self.violation("a failure's error is missing")
            }
            return (step.requests[index], .failed(EngineError(failure)))
        case .UNRECOGNIZED(let kind): throw Self.violation("an event has the unknown kind \(kind)")
        }
        return (
            step.requests[index], .event(SequenceEvent(sample: Int(step.samples[index]), event: event))
        )
    }

    private mutating func token() throws(WorkerProtocolError) -> Int32 {
        guard let token = Self.take(step.tokens, &nextToken) else { throw Self.violation("a token is missing") }
        return try check(token)
    }

    private mutating func prompt() throws(WorkerProtocolError) -> TokenEvent {
        guard let wire = Self.take(step.prompts, &nextPrompt), wire.cached >= 0 else {
            throw Self.violation("a prompt's facts are missing")
        }
        guard wire.hasLogprobs_p else { return .prompt(cached: Int(wire.cached), logprobs: nil) }
        var reported: [TokenLogprobs?] = []
        reported.reserveCapacity(wire.logprobs.count)
        for position in wire.logprobs { reported.append(try logprobs(position)) }
        return .prompt(cached: Int(wire.cached), logprobs: reported)
    }

    private func logprobs(_ wire: WireLogprobs) throws(WorkerProtocolError) -> TokenLogprobs? {
        guard wire.tokens.count == wire.logprobs.count, wire.tokens.count == wire.ranks.count else {
            throw Self.violation("log probabilities differ in number from their tokens")
        }
        var entries: [TokenLogprobs.Entry] = []
        entries.reserveCapacity(wire.tokens.count)
        for index in wire.tokens.indices {
            entries.append(
                .init(
                    token: try check(wire.tokens[index]), logprob: wire.logprobs[index], rank: Int(wire.ranks[index])))
        }
        guard let chosen = entries.first else { return nil }
        return TokenLogprobs(chosen: chosen, top: Array(entries.dropFirst()))
    }

    private func check(_ token: Int32) throws(WorkerProtocolError) -> Int32 {
        guard token >= 0, Int(token) < vocabularySize else {
            throw Self.violation("token id \(token) is not in the vocabulary of \(vocabularySize)")
        }
        return token
    }

    private static func take<Element>(_ column: [Element], _ next: inout Int) -> Element? {
        guard next < column.count else { return nil }
        defer { next += 1 }
        return column[next]
    }

    private static func violation(_ what: String) -> WorkerProtocolError {
        WorkerProtocolError(.protocolViolation, "The worker sent a message that makes no sense: \(what).")
    }
}
