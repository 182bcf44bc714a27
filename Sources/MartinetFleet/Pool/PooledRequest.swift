internal import MartinetEngine

/// A request as a pool keeps it: what it needs to go on anywhere, and what its client has yet to get.
struct PooledRequest {
    /// One of its samples.
    struct Sample {
        /// The tokens that the client got or will get from the outbox.
        var emitted: [Int32] = []
        var sawPrompt = false
        var hasEmbedding = false
        var isFinished = false
        var isCancelled = false
        /// Whether it lost a member before.
        var isResumed = false
        /// Losses without a token in between.
        var losses = 0
        /// Where it runs; events from anywhere else are dropped.
        var leg: UInt64?
    }

    let number: UInt64
    /// What was asked for, with its seed.
    let request: EngineRequest
    let sink: any SequenceSink
    /// Most tokens that each sample generates.
    let maxTokens: Int
    /// The model's end tokens.
    let endTokens: Set<Int32>
    var samples: [Sample]

    /// Whether no member has taken it yet and its client still waits in `submit`.
    var isNew = true
    /// Members that refused it since one took it.
    var excluded: Set<UInt64> = []
    var lastRefusal: EngineError?
    /// The number of the wait for a member that goes on.
    var wait: UInt64?

    var crashes = 0
    /// Wedges without a token in between.
    var wedges = 0
    /// Whether it is tried alone, and its tokens since.
    var isSuspected = false
    var tokensAlone = 0

    var outbox: [SequenceEvent] = []
    var failure: EngineError?
    /// Whether a thread hands the outbox to the client right now.
    var isDelivering = false

    init(
        number: UInt64, request: EngineRequest, sink: any SequenceSink, maxModelLength: Int,
        endTokens: Set<Int32>
    ) {
        self.number = number
        self.request = request
        self.sink = sink
        let room = max(0, maxModelLength - request.prompt.count)
        maxTokens = min(request.sampling.maxTokens ?? room, room)
        self.endTokens = endTokens
        samples = (0..<request.sampleCount).map { _ in Sample(emitted: request.emitted) }
    }

    /// Samples that have not ended.
    var openCount: Int { samples.count { !$0.isFinished } }
    /// Samples that have not ended and run nowhere.
    var unplaced: [Int] { samples.indices.filter { !samples[$0].isFinished && samples[$0].leg == nil } }

    /// Why a sample is at its end though no member said so.
    func finishReason(of index: Int) -> FinishReason? {
        let sample = samples[index]
        if request.embeds { return sample.hasEmbedding ? .stop : nil }
        if let last = sample.emitted.last,
            request.sampling.isEnd(last, outputCount: sample.emitted.count, endTokens: endTokens)
        {
            return .stop
        }
        return sample.emitted.count >= maxTokens ? .length : nil
    }

    /// Ends a sample, telling the client.
    mutating func finish(_ index: Int, _ reason: FinishReason) {
        samples[index].isFinished = true
        samples[index].leg = nil
        outbox.append(.init(sample: request.sampleIndex + index, event: .finished(reason)))
    }

    /// The samples that run nowhere, in parts that one member takes as one request each: samples that have begun each on
    /// their own, since only a single one can go on behind tokens; runs of others together, to share the prompt's work.
    func parts() -> [Range<Int>] {
        var parts: [Range<Int>] = []
        for index in unplaced {
            if samples[index].emitted.isEmpty, let last = parts.last, last.upperBound == index,
                samples[last.lowerBound].emitted.isEmpty
            {
                parts[parts.count - 1] = last.lowerBound..<(index + 1)
            } else {
                parts.append(index..<(index + 1))
            }
        }
        return parts
    }

    /// What a member is asked for.
    func part(_ samples: Range<Int>) -> EngineRequest {
        var part = request
        part.sampleIndex = request.sampleIndex + samples.lowerBound
        part.sampleCount = samples.count
        part.emitted = self.samples[samples.lowerBound].emitted
        // They come with the first prompt event of all.
        if self.samples.contains(where: \.sawPrompt) { part.sampling.promptLogprobs = nil }
        return part
    }

    /// Tokens that a part still costs: the prompt, and the output as far as it can be guessed.
    func cost(of samples: Range<Int>) -> Int {
        let expected =
            request.embeds ? 0 : request.sampling.maxTokens == nil ? min(maxTokens, Self.usualOutput) : maxTokens
        return samples.reduce(request.prompt.count) { sum, index in
            let emitted = self.samples[index].emitted.count
            // What was emitted is computed again like a prompt.
            return sum + emitted + max(1, expected - emitted)
        }
    }

    /// Tokens that an answer without a limit is taken to have.
    private static let usualOutput = 256
}
