import Foundation
import MartinetEngine
import MartinetGrammars
import MartinetModels
import MartinetTestKit
import MartinetTokenizers
import Synchronization
import Testing

/// Outputs match their grammars, whatever the engine does to sequences; over ``HistoryRunner``, whose texts are noise.
@Suite(.timeLimit(.minutes(10))) struct ConstraintTests {
    /// A grammar, and a regular expression that says the same.
    struct Language: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var grammar: GrammarSource
        var pattern: String
        /// Whether texts may be so long that they displace each other.
        var isEndless = false

        func matches(_ text: String) -> Bool {
            text.range(of: "^(?:\(pattern))$", options: .regularExpression).map {
                $0 == text.startIndex..<text.endIndex
            } ?? false
        }
    }

    static let languages = [
        Language(
            testDescription: "choices that begin alike",
            grammar: .choice(["abc", "ab", "abcab", "12", "é", "a"].map { .literal($0) }),
            pattern: "abc|ab|abcab|12|é|a"),
        Language(
            testDescription: "a sequence",
            grammar: .sequence([
                .literal("{\"a\":"), .repetition(.choice([.literal("12"), .literal("0")]), minimum: 1, maximum: 3),
                .choice([.literal("}"), .literal(" }")]),
            ]), pattern: "\\{\"a\":(12|0){1,3} ?\\}"),
        Language(
            testDescription: "counts", grammar: .ebnf(#"root ::= [a-c]{2,9} ("." [0-9]{1,3})?"#),
            pattern: #"[a-c]{2,9}(\.[0-9]{1,3})?"#),
        Language(
            testDescription: "a list without end",
            grammar: .ebnf(
                #"""
                root ::= "[" item (", " item)* "]"
                item ::= "true" | [0-9]+ | root
                """#), pattern: #"[\[\]0-9, true]*"#, isEndless: true),
    ]

    private func makeEngine(
        blocks: Int = 256, blockSize: Int = 4, maxSequences: Int = 8, speculates: Bool = false,
        tokenizer: TextVocabulary = TextVocabulary()
    ) throws -> Engine {
        let runner = HistoryRunner(
            limits: RunnerLimits(
                maxBatchedTokens: 48, maxLogitRows: 32, maxModelLength: 80, blockSize: blockSize, blockCount: blocks))
        // Repetition makes guesses that hold.
        runner.repetition = 3
        nonisolated(unsafe) let confined = runner
        return try Engine(
            maxSequences: maxSequences, maxWaiting: 1000, endTokens: [TextVocabulary.end], seed: 0,
            speculation: speculates ? .promptLookup() : .off,
            constraints: ConstraintCompiler(
                tokenizer: tokenizer, vocabularySize: 64, endTokens: [TextVocabulary.end])
        ) { confined }
    }

    private struct Answer: Hashable {
        var tokens: [Int32] = []
        var logprobs: [TokenLogprobs?] = []
        var reason: FinishReason?

        var text: String { TextVocabulary().decode(tokens) }
    }

    /// Collects the samples of a request.
    private func answers(_ engine: Engine, _ request: EngineRequest) async throws -> [Answer] {
        let mailbox = Mailbox()
        try engine.submit(request, to: mailbox)
        return try await answers(mailbox, count: request.sampleCount, first: request.sampleIndex)
    }

    private func answers(_ mailbox: Mailbox, count: Int = 1, first: Int = 0) async throws -> [Answer] {
        var answers = Array(repeating: Answer(), count: count)
        while answers.contains(where: { $0.reason == nil }) {
            switch await mailbox.next() {
            case .closed: return answers
            case .failed(let error): throw error
            case .items(let items):
                for item in items {
                    let index = item.sample - first
                    #expect(answers[index].reason == nil, "an event behind the last one")
                    switch item.event {
                    case .prompt: break
                    case .token(let token, let logprobs):
                        answers[index].tokens.append(token)
                        answers[index].logprobs.append(logprobs)
                    case .finished(let reason): answers[index].reason = reason
                    case .embedding: Issue.record("nobody asked for an embedding")
                    }
                }
            }
        }
        return answers
    }

    private typealias Change = @Sendable (inout SamplingParameters) -> Void

    private func request(
        _ grammar: GrammarSource?, seed: UInt64 = 1, maxTokens: Int = 60, prompt: [Int32] = [1, 2, 3],
        _ change: (inout SamplingParameters) -> Void = { _ in }
    ) -> EngineRequest {
        var sampling = SamplingParameters()
        sampling.grammar = grammar
        sampling.maxTokens = maxTokens
        sampling.temperature = 1.5
        sampling.seed = seed
        change(&sampling)
        return EngineRequest(id: "test", prompt: prompt, sampling: sampling)
    }

    /// Many at once, several samples each, with all that changes probabilities.
    private func requests(_ language: Language) -> [EngineRequest] {
        let changes: [Change] = [
            { _ in }, { $0.temperature = 0 }, { ($0.topK, $0.topP, $0.temperature) = (5, 0.9, 3) },
            { ($0.presencePenalty, $0.frequencyPenalty, $0.repetitionPenalty) = (1, 0.5, 1.4) },
            { ($0.logitBias, $0.logprobs) = ([TextVocabulary.end: 100, 0: -100], 2) },
            { ($0.minTokens, $0.ignoreEndOfText) = (20, true) }, { $0.minP = 0.3 },
        ]
        return (0..<28).map { index in
            var request = request(
                language.grammar, seed: UInt64(index), prompt: (0...(index % 9)).map { Int32($0 * index % 61) },
                changes[index % changes.count])
            if index % 3 == 0 { request.sampleCount = 3 }
            return request
        }
    }

    private func all(_ engine: Engine, _ requests: [EngineRequest]) async throws -> [[Answer]] {
        try await withThrowingTaskGroup(of: (Int, [Answer]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await answers(engine, request)) }
            }
            return try await group.reduce(into: Array(repeating: [], count: requests.count)) { $0[$1.0] = $1.1 }
        }
    }

    @Test(arguments: languages) func outputsMatch(_ language: Language) async throws {
        let plain = try makeEngine()
        let requests = requests(language)
        let expected = try await all(plain, requests)
        await plain.shutdown(deadline: .seconds(1))
        var texts: Set<String> = []
        for answer in expected.joined() {
            switch answer.reason {
            case .stop:
                #expect(language.matches(answer.text), "\(answer.text)")
                texts.insert(answer.text)
            case .length: #expect(answer.tokens.count == 60)
            default: Issue.record("ended by \(String(describing: answer.reason))")
            }
        }
        #expect(texts.count > 3)

        for (name, blocks, blockSize, speculates) in [
            ("guesses", 256, 4, true), ("preemption", 30, 4, false), ("preemption and guesses", 110, 1, true),
        ] {
            let engine = try makeEngine(blocks: blocks, blockSize: blockSize, speculates: speculates)
            #expect(try await all(engine, requests) == expected, "\(name)")
            if blocks < 256, language.isEndless { #expect(engine.statistics().preemptions > 0) }
            await engine.shutdown(deadline: .seconds(1))
        }
    }

    @Test(arguments: languages) func outputsGoOnWhereTheyWereCut(_ language: Language) async throws {
        let first = try makeEngine()
        let second = try makeEngine(blockSize: 3, speculates: true)
        for seed in 0..<6 as Range<UInt64> {
            let whole = request(language.grammar, seed: seed, maxTokens: 25) { $0.logprobs = 1 }
            let answer = try await answers(first, whole)[0]
            for cut in 1..<answer.tokens.count + (answer.reason == .stop ? 1 : 0) {
                var rest = whole
                rest.emitted = Array(answer.tokens.prefix(cut))
                let continued = try await answers(second, rest)[0]
                #expect(continued.tokens == Array(answer.tokens.dropFirst(cut)))
                #expect(continued.reason == answer.reason)
            }
        }
        await first.shutdown(deadline: .seconds(1))
        await second.shutdown(deadline: .seconds(1))
    }

    @Test func whatItGotBeforeMustMatch() async throws {
        let engine = try makeEngine()
        var request = request(.literal("abc"))
        request.emitted = TextVocabulary().encode("12", specials: .asText)
        let error = await #expect(throws: EngineError.self) { try await answers(engine, request) }
        #expect(error?.parameter == "emitted")
        #expect(error?.code == .invalidParameter)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aWholeTextEndsWhateverElseWasAskedFor() async throws {
        let engine = try makeEngine()
        for (text, minTokens) in [("abcab", 0), ("é", 50)] {
            let request = request(.literal(text)) { ($0.minTokens, $0.ignoreEndOfText) = (minTokens, minTokens > 0) }
            let answer = try await answers(engine, request)[0]
            #expect(answer.text == text)
            #expect(answer.reason == .stop)
            // No step was spent on an end token.
            #expect(answer.tokens.last != TextVocabulary.end)
        }
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func aGrammarMayTakeNothingButTheEmptyText() async throws {
        let engine = try makeEngine()
        var nothing = request(.literal(""))
        nothing.sampleCount = 2
        for answer in try await answers(engine, nothing) {
            #expect(answer.tokens == [])
            #expect(answer.reason == .stop)
        }
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func tooFewTokensCutTheText() async throws {
        let engine = try makeEngine()
        let answer = try await answers(engine, request(.literal("{\"a\":12,12,12,12}"), maxTokens: 3))[0]
        #expect(answer.reason == .length)
        #expect(answer.tokens.count == 3)
        #expect("{\"a\":12,12,12,12}".hasPrefix(answer.text))
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func parametersThatLeaveNoTokenEndTheRequest() async throws {
        let engine = try makeEngine()
        var request = request(.choice([.literal("abc"), .literal("12")])) { $0.allowedTokens = [0, 1, 2] }
        request.sampleCount = 3
        let error = await #expect(throws: EngineError.self) { try await answers(engine, request) }
        #expect(error?.code == .invalidParameter)
        #expect(error?.message.contains("allowed_token_ids") == true)
        // What is whole ends instead: only "a" can be had of "a" and what is longer.
        let a = TextVocabulary().encode("a", specials: .asText)
        let ended = try await answers(
            engine, self.request(.ebnf(#"root ::= "a"+"#)) { ($0.allowedTokens, $0.badWords) = (a, [a + a]) })[0]
        #expect(ended.text == "a")
        #expect(ended.reason == .stop)
        #expect(engine.statistics().running == 0)
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func logprobsAreTheModelsOwn() async throws {
        let engine = try makeEngine()
        let free = try await answers(engine, request(nil) { ($0.temperature, $0.logprobs) = (0, 5) })[0]
        let held = try await answers(engine, request(.literal("abc")) { $0.logprobs = 5 })[0]
        // The likeliest tokens at the first place are those of the model, though the grammar allows none of them.
        #expect(held.logprobs[0]?.top == free.logprobs[0]?.top)
        #expect(held.logprobs[0]?.chosen.token == held.tokens[0])
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test(arguments: [
        GrammarSource.regex("(["), .jsonSchema("{\"type\":\"nonsense\"}"), .jsonSchema("{"), .ebnf("root ::= missing"),
        .choice([]),
    ])
    func aGrammarThatCannotBeCompiledFailsTheRequest(_ grammar: GrammarSource) async throws {
        let engine = try makeEngine()
        var several = request(grammar)
        several.sampleCount = 3
        let error = await #expect(throws: EngineError.self) { try await answers(engine, several) }
        #expect(error?.code == .invalidParameter)
        #expect(try await answers(engine, request(.literal("abc")))[0].text == "abc")
        #expect(engine.statistics().waiting == 0)
        await engine.shutdown(deadline: .seconds(1))
    }

    /// Sources that are refused before anything is compiled.
    private static let tooLarge: [GrammarSource] = [
        (0..<GrammarSource.maxDepth).reduce(.literal("a")) { inner, _ in .sequence([inner]) },
        .choice(Array(repeating: .literal(""), count: GrammarSource.maxParts)),
        .sequence(Array(repeating: .regex(String(repeating: "a", count: 1 << 20)), count: 5)),
        .repetition(.literal("a"), minimum: -1, maximum: nil), .repetition(.literal("a"), minimum: 3, maximum: 2),
    ]

    @Test(arguments: tooLarge.indices) func sourcesAreBounded(_ index: Int) throws {
        let engine = try makeEngine()
        let error = #expect(throws: EngineError.self) {
            try engine.submit(request(Self.tooLarge[index]), to: Mailbox())
        }
        #expect(error?.code == .invalidParameter)
        engine.stop()
    }

    @Test func anEngineWithoutVocabularyRefusesGrammars() throws {
        let limits = RunnerLimits(
            maxBatchedTokens: 8, maxLogitRows: 8, maxModelLength: 16, blockSize: 4, blockCount: 8)
        let engine = try Engine(maxSequences: 8, maxWaiting: 8, endTokens: [], seed: 0) {
            HistoryRunner(limits: limits)
        }
        #expect(throws: EngineError.self) { try engine.submit(request(.literal("a")), to: Mailbox()) }
        engine.stop()
    }

    @Test func othersRunWhileAGrammarIsCompiled() async throws {
        let gate = Mutex(false)
        let engine = try makeEngine(
            tokenizer: TextVocabulary(wait: { while !gate.withLock(\.self) { usleep(200) } }))
        let (waiting, cancelled, late) = (Mailbox(), Mailbox(), Mailbox())
        try engine.submit(request(.literal("abc")), to: waiting)
        let ticket = try engine.submit(request(.literal("12")), to: cancelled)
        var overdue = request(.literal("12"))
        overdue.deadline = .now + .milliseconds(100)
        try engine.submit(overdue, to: late)
        #expect(try await answers(engine, request(nil) { $0.ignoreEndOfText = true })[0].tokens.count == 60)
        // Nothing runs, but deadlines and cancellations count.
        let error = await #expect(throws: EngineError.self) { try await answers(late) }
        #expect(error?.code == .deadlineExceeded)
        ticket.cancel()
        #expect(try await answers(cancelled)[0].reason == .abort)
        #expect(engine.statistics().waiting == 1)
        // Nor is an engine that waits for a grammar taken for one that stands still.
        let steps = engine.statistics().steps
        for _ in 0..<5000 where engine.statistics().steps == steps { try await Task.sleep(for: .milliseconds(2)) }
        #expect(engine.statistics().steps > steps)
        gate.withLock { $0 = true }
        #expect(try await answers(waiting)[0].text == "abc")
        await engine.shutdown(deadline: .seconds(1))
    }

    @Test func anEngineStopsWhileAGrammarIsCompiled() async throws {
        let gate = Mutex(false)
        let engine = try makeEngine(
            tokenizer: TextVocabulary(wait: { while !gate.withLock(\.self) { usleep(200) } }))
        let mailbox = Mailbox()
        try engine.submit(request(.literal("abc")), to: mailbox)
        await engine.shutdown(deadline: .zero)
        #expect(try await answers(mailbox)[0].reason == .abort)
        gate.withLock { $0 = true }
    }

    @Test func aSpaceThatClientsDoNotSeeIsWritten() async throws {
        let tokenizer = TextVocabulary(dropsLeadingSpace: true)
        let engine = try makeEngine(tokenizer: tokenizer)
        for text in ["abc", " a", "12"] {
            for seed in 0..<5 as Range<UInt64> {
                let answer = try await answers(engine, request(.literal(text), seed: seed))[0]
                #expect(answer.reason == .stop)
                #expect(tokenizer.decode(answer.tokens) == text)
            }
        }
        await engine.shutdown(deadline: .seconds(1))
    }
}
