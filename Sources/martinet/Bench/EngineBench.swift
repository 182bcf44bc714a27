import MartinetBenchmarks
import MartinetEngine
import MartinetGrammars

/// Runs requests of random tokens in an engine and times them.
struct EngineBench {
    /// Tokens in the prompt of a decode.
    static let promptLength = 128

    private let engine: InferenceEngine
    private let vocabulary: Int
    private var random: SeededGenerator

    init(engine: InferenceEngine, vocabulary: Int, seed: UInt64) {
        self.engine = engine
        self.vocabulary = vocabulary
        random = SeededGenerator(seed: seed)
    }

    /// Seconds from submission to the first and the last tokens, and between those that came one after the other.
    struct Times {
        var first = 0.0
        var last = 0.0
        var gaps: [Double] = []
    }

    private mutating func request(prompt: Int, output: Int) -> InferenceRequest {
        var sampling = SamplingParameters.greedy
        sampling.maxTokens = output
        sampling.ignoreEndOfText = true
        let tokens = (0..<prompt).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) }
        return InferenceRequest(id: "bench", prompt: tokens, sampling: sampling)
    }

    mutating func run(prompt: Int, output: Int) async throws -> Times {
        try await Self.measure(engine, request(prompt: prompt, output: output))
    }

    private static func measure(_ engine: InferenceEngine, _ request: InferenceRequest) async throws -> Times {
        let begin = ContinuousClock.now
        var times = Times()
        var isFirst = true
        for try await events in try engine.generate(request) {
            for case .output(let delta) in events where !delta.tokens.isEmpty {
                let now = (ContinuousClock.now - begin) / .seconds(1)
                if isFirst { times.first = now } else { times.gaps.append(now - times.last) }
                isFirst = false
                times.last = now
            }
        }
        return times
    }

    /// Output tokens a second of several streams together, from the first submission to the last token.
    ///
    /// - Parameter grammar: what all outputs must match; one that they do not come to the end of.
    mutating func batch(
        streams: Int, prompt: Int, output: Int, grammar: GrammarSource? = nil
    ) async throws -> Double {
        let requests = (0..<streams).map { _ in
            var request = request(prompt: prompt, output: output)
            request.sampling.grammar = grammar
            return request
        }
        let engine = self.engine
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for request in requests { group.addTask { _ = try await Self.measure(engine, request) } }
            try await group.waitForAll()
        }
        return Double(streams * output) / ((ContinuousClock.now - begin) / .seconds(1))
    }

    /// JSON that no benchmark comes to the end of: a list of records.
    static let records = GrammarSource.jsonSchema(
        #"""
        {"type":"array","minItems":10000,"items":{"type":"object","required":["name","age","tags"],
        "additionalProperties":false,"properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0},
        "tags":{"type":"array","items":{"enum":["red","green","blue"]}}}}}
        """#)

    /// Decodes one stream while prompts arrive, each as soon as the one before was computed: the worst there can be,
    /// since no step is without a piece of a prompt.
    mutating func decodeAmidArrivals(arriving: Int, output: Int) async throws -> Times {
        let decode = request(prompt: Self.promptLength, output: output)
        let prompts = self
        random = SeededGenerator(seed: random.next())
        let engine = self.engine
        return try await withThrowingTaskGroup(of: Times?.self) { group in
            group.addTask { try await Self.measure(engine, decode) }
            group.addTask {
                var prompts = prompts
                while !Task.isCancelled { _ = try await prompts.run(prompt: arriving, output: 1) }
                return nil
            }
            defer { group.cancelAll() }
            while let times = try await group.next() {
                if let times { return times }
            }
            throw CancellationError()
        }
    }
}
