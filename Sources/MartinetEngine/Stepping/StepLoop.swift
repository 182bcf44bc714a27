internal import MartinetModels

/// How a step ended a sequence.
private enum Ending {
    case finished(FinishReason)
    case failed(EngineError)
}

/// The engine's work between its doors: schedule, execute, sample, publish. One thread owns it.
final class StepLoop {
    private(set) var scheduler: Scheduler
    private(set) var statistics = EngineStatistics()
    private let runner: any ModelRunner
    private var scratch: SamplerScratch
    private let endTokens: Set<Int32>
    private let maxModelLength: Int
    private let speculation: Speculation
    private var pace: StepPace
    private let constraints: ConstraintCompiler?
    private let pooling: Pooling?
    /// Ends the wait of the thread.
    private let wake: @Sendable () -> Void
    /// Requests that cannot go on; they end before the next step.
    private var failures: [(sink: any SequenceSink, error: EngineError)] = []

    init(
        runner: any ModelRunner, maxSequences: Int, endTokens: Set<Int32>, reusesPrefixes: Bool,
        speculation: Speculation, pace: StepPace, constraints: ConstraintCompiler?, pooling: Pooling?,
        wake: @escaping @Sendable () -> Void
    ) {
        let limits = runner.limits
        self.pace = pace
        self.constraints = constraints
        self.pooling = pooling
        self.wake = wake
        self.runner = runner
        self.endTokens = endTokens
        self.speculation = speculation
        maxModelLength = limits.maxModelLength
        scratch = SamplerScratch(vocabularySize: runner.configuration.vocabularySize)
        scheduler = Scheduler(
            pool: BlockPool(blockCount: limits.blockCount, blockSize: limits.blockSize, reuses: reusesPrefixes),
            limits: .init(
                maxBatchedTokens: limits.maxBatchedTokens, maxSequences: maxSequences,
                maxLogitRows: limits.maxLogitRows))
        statistics.totalBlocks = limits.blockCount
    }

    var isIdle: Bool { scheduler.isIdle }
    var isBlocked: Bool { scheduler.isBlocked }

    func add(_ submission: Engine.Submission) {
        let (request, ticket) = (submission.request, submission.ticket)
        let constraint = request.sampling.grammar.flatMap { grammar in
            constraints?.constraint(for: grammar) { [sample = request.sampleIndex, deadline = request.deadline] in
                !ticket.isCancelled(sample: sample) && deadline.map { $0 > .now } ?? true
            } whenDone: { [wake] in
                wake()
            }
        }
        add(request, number: submission.number, seed: submission.seed, constraint, submission.sink, ticket)
    }

    private func add(
        _ request: EngineRequest, number: UInt64, seed: UInt64, _ constraint: Constraint?, _ sink: any SequenceSink,
        _ ticket: SequenceTicket
    ) {
        let room = maxModelLength - request.prompt.count
        scheduler.add(
            SequenceState(
                number: number, request: request, seed: seed, maxTokens: min(request.sampling.maxTokens ?? room, room),
                sampler: SequenceSampler(
                    parameters: request.sampling, seed: seed, sampleIndex: request.sampleIndex,
                    prompt: request.prompt, emitted: request.emitted,
                    endTokens: request.sampling.ignoreEndOfText
                        ? request.sampling.stopTokens : request.sampling.stopTokens.union(endTokens)),
                constraint: constraint,
                embedding: request.embeds
                    ? pooling.map { HiddenStatePool(pooling: $0, tokenCount: request.prompt.count) } : nil,
                drafter: speculation.makeDrafter(), sink: sink, ticket: ticket))
    }

    /// Lets the sequences run whose grammars have been compiled, and ends the requests whose cannot be.
    private func takeConstraints() {
        for sequence in scheduler.waiting where !sequence.isReady {
            switch sequence.constraint?.result {
            case nil: continue
            case .failure(let error)?: failures.append((sequence.sink, error))
            case .success(let grammar)?:
                if sequence.sampler.constrain(to: grammar, emitted: sequence.request.emitted) { continue }
                failures.append(
                    (
                        sequence.sink,
                        EngineError(
                            .invalidParameter, "The tokens generated before do not match the grammar.",
                            parameter: "emitted")
                    ))
            }
        }
        endFailed()
    }

    /// Ends the requests that cannot go on, with all of their samples.
    private func endFailed() {
        for (sink, error) in failures {
            for sequence in scheduler.running + scheduler.waiting where sequence.sink === sink { end(sequence, .abort) }
            sink.fail(error)
        }
        failures = []
    }

    /// Ends the sequences that `isEnded` picks, telling their consumers.
    func abort(where isEnded: (SequenceState) -> Bool) {
        for sequence in scheduler.running.filter(isEnded) + scheduler.waiting.filter(isEnded) {
            end(sequence, .abort)
            sequence.sink.publish([.init(sample: sequence.request.sampleIndex, event: .finished(.abort))])
        }
    }

    /// Ends the requests whose deadline has passed, with all of their samples.
    private func endOverdue(at now: ContinuousClock.Instant) {
        let isOverdue = { (sequence: SequenceState) in sequence.request.deadline.map { $0 <= now } ?? false }
        let overdue = scheduler.running.filter(isOverdue) + scheduler.waiting.filter(isOverdue)
        for sequence in overdue { end(sequence, .abort) }
        // The samples of a request share its sink, and an error ends them all.
        var told: Set<ObjectIdentifier> = []
        for sequence in overdue where told.insert(ObjectIdentifier(sequence.sink)).inserted {
            sequence.sink.fail(.deadlinePassed)
        }
    }

    /// Ends all sequences with an error.
    func fail(_ error: EngineError) {
        for sequence in scheduler.running + scheduler.waiting {
            end(sequence, .abort)
            sequence.sink.fail(error)
        }
    }

    /// Runs one step.
    func step() throws(ModelError) {
        abort(where: \.isCancelled)
        let begin = ContinuousClock.now
        endOverdue(at: begin)
        takeConstraints()
        let items = scheduler.schedule { pace.promptTokens(besides: $0, for: $1) }
        guard !items.isEmpty else {
            // Waiting for grammars is no standing still, which supervisors look for.
            if isBlocked, !isIdle { statistics.steps += 1 }
            return
        }
        let decodes = items.filter { $0.count == 1 }.reduce(0) { $0 + 1 + $1.drafts.count }
        var batch = ForwardBatch()
        batch.wantsHiddenStates = items.contains { $0.sequence.embedding != nil }
        for item in items {
            let sequence = item.sequence
            let first = batch.tokens.count
            batch.tokens += sequence.tokens[sequence.computed..<(sequence.computed + item.count)]
            batch.tokens += item.drafts
            batch.slices.append(
                SequenceSlice(tokens: first..<batch.tokens.count, start: sequence.computed, blocks: sequence.blocks))
            switch scheduler.logitRows(of: item) {
            case 0: break
            case 1: batch.logitTokens.append(batch.tokens.count - 1)
            default: batch.logitTokens += first..<batch.tokens.count
            }
        }
        let logits = try runner.forward(batch)
        let rowCounts = items.map { scheduler.logitRows(of: $0) }
        let starts = items.map(\.sequence.computed)
        scheduler.complete(items)

        var row = 0
        let vocabulary = runner.configuration.vocabularySize
        for (index, item) in items.enumerated() {
            let rows = (row..<(row + rowCounts[index])).map {
                UnsafeMutableBufferPointer(rebasing: logits[($0 * vocabulary)..<(($0 + 1) * vocabulary)])
            }
            row += rows.count
            if item.sequence.embedding == nil {
                publish(item, from: starts[index], rows: rows)
            } else {
                publishEmbedding(of: item.sequence, from: starts[index], tokens: batch.slices[index].tokens)
            }
        }
        endFailed()
        pace.observe(
            decodes: decodes, promptTokens: batch.tokens.count - decodes,
            seconds: (ContinuousClock.now - begin) / .seconds(1))
        statistics.steps += 1
        statistics.lastBatchSequences = items.count
        statistics.lastBatchTokens = batch.tokens.count
    }

    /// Brings the statistics up to date.
    func refreshStatistics() -> EngineStatistics {
        statistics.running = scheduler.running.count
        statistics.waiting = scheduler.waiting.count
        for sequence in scheduler.running { statistics.waiting += sequence.samplesToStart }
        for sequence in scheduler.waiting { statistics.waiting += sequence.samplesToStart }
        statistics.usedBlocks = scheduler.pool.blockCount - scheduler.pool.freeCount
        statistics.cachedBlocks = scheduler.pool.cachedFreeCount
        statistics.preemptions = scheduler.preemptions
        return statistics
    }

    /// Takes a sequence's rows of logits and tells its consumer what came of them.
    private func publish(_ item: Scheduler.Item, from start: Int, rows: [UnsafeMutableBufferPointer<Float>]) {
        let sequence = item.sequence
        var events: [TokenEvent] = []
        if !sequence.promptDone, let top = sequence.request.sampling.promptLogprobs {
            if start == 0 { sequence.promptLogprobs = [nil] }
            // Row r belongs to the token at start + r and speaks of the one behind it.
            for (offset, row) in rows.enumerated() where start + offset + 1 < sequence.promptCount {
                let reported = LogSoftmax(row, scratch: &scratch)
                sequence.promptLogprobs.append(
                    reported.report(
                        sequence.tokens[start + offset + 1], top: top, of: UnsafeBufferPointer(row)))
            }
        }
        guard sequence.pending == 0, !rows.isEmpty else { return }
        if !sequence.promptDone {
            startOtherSamples(of: sequence)
            sequence.promptDone = true
            events.append(
                .prompt(
                    cached: countPrompt(of: sequence),
                    logprobs: sequence.request.sampling.promptLogprobs == nil ? nil : sequence.promptLogprobs))
        }
        let ending = chooseTokens(for: item, rows: rows.suffix(1 + item.drafts.count), events: &events)
        scheduler.completeDrafts(of: item)
        switch ending {
        case nil: break
        case .finished(let reason)?:
            events.append(.finished(reason))
            end(sequence, reason)
        case .failed(let error)?: failures.append((sequence.sink, error))
        }
        let sample = sequence.request.sampleIndex
        sequence.sink.publish(events.map { .init(sample: sample, event: $0) })
    }

    /// Takes the hidden states of a prompt's tokens, and tells its consumer when all have come.
    private func publishEmbedding(of sequence: SequenceState, from start: Int, tokens: Range<Int>) {
        let width = runner.configuration.hiddenSize
        let rows = runner.hiddenStates[tokens.lowerBound * width..<tokens.upperBound * width]
        sequence.embedding?.add(UnsafeBufferPointer(rebasing: rows), width: width, start: start)
        guard sequence.pending == 0, let embedding = sequence.embedding?.embedding else { return }
        guard embedding.values.allSatisfy(\.isFinite) else {
            failures.append((sequence.sink, .notANumber))
            return
        }
        let cached = countPrompt(of: sequence)
        end(sequence, .stop)
        let sample = sequence.request.sampleIndex
        let events: [TokenEvent] = [.prompt(cached: cached, logprobs: nil), .embedding(embedding), .finished(.stop)]
        sequence.sink.publish(events.map { .init(sample: sample, event: $0) })
    }

    /// Counts a computed prompt; says how much of it came from the prefix cache.
    private func countPrompt(of sequence: SequenceState) -> Int {
        let cached = min(sequence.cachedPromptTokens ?? 0, sequence.promptCount)
        statistics.promptTokens += UInt64(sequence.promptCount)
        statistics.cachedPromptTokens += UInt64(cached)
        return cached
    }

    /// The other samples start when the first has left the prompt's blocks in the prefix cache.
    private func startOtherSamples(of sequence: SequenceState) {
        for offset in 0..<sequence.samplesToStart {
            var request = sequence.request
            request.sampleIndex += offset + 1
            request.sampleCount = 1
            request.sampling.promptLogprobs = nil
            guard !sequence.ticket.isCancelled(sample: request.sampleIndex) else { continue }
            add(
                request, number: sequence.number, seed: sequence.seed, sequence.constraint, sequence.sink,
                sequence.ticket)
        }
    }

    /// Chooses a token from each row as long as the tokens chosen are those that the rows were computed with: each is
    /// the one that a step of its own would have brought, with the same state of the sampler.
    private func chooseTokens(
        for item: Scheduler.Item, rows: ArraySlice<UnsafeMutableBufferPointer<Float>>, events: inout [TokenEvent]
    ) -> Ending? {
        let sequence = item.sequence
        if !item.drafts.isEmpty {
            statistics.drafts += 1
            statistics.draftTokens += UInt64(item.drafts.count)
        }
        for (index, row) in rows.enumerated() {
            // Only where it may have no token at all: else it ended with the last one.
            if sequence.sampler.mustEnd { return .finished(.stop) }
            let output = sequence.tokens[sequence.promptCount...]
            guard let (token, logprobs) = sequence.sampler.sample(row, output: output, scratch: &scratch) else {
                return sequence.sampler.mayEnd ? .finished(.stop) : .failed(.noTokenLeft)
            }
            sequence.append(token)
            statistics.generatedTokens += 1
            events.append(.token(token, logprobs: logprobs))
            let holds = index < item.drafts.count && item.drafts[index] == token
            if holds { statistics.acceptedDraftTokens += 1 }
            if let reason = finishReason(sequence, token: token) { return .finished(reason) }
            guard holds else { break }
            sequence.computed += 1
        }
        return nil
    }

    private func finishReason(_ sequence: SequenceState, token: Int32) -> FinishReason? {
        if sequence.request.sampling.isEnd(token, outputCount: sequence.outputCount, endTokens: endTokens) {
            return .stop
        }
        // Behind a whole text nothing can come, whatever else was asked for.
        if sequence.sampler.mustEnd { return .stop }
        if sequence.outputCount >= sequence.maxTokens { return .length }
        return nil
    }

    private func end(_ sequence: SequenceState, _ reason: FinishReason) {
        scheduler.remove(sequence)
        statistics.finished[reason, default: 0] += 1
    }
}
