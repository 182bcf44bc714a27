import Foundation
import MartinetAPI
import MartinetEngine
import MartinetTemplates
import MartinetTokenizers
import Synchronization

/// One token for each byte.
struct ByteTokenizer: Tokenizer {
    var vocabularySize: Int { 256 }
    var bosToken: Int32? { nil }
    var eosToken: Int32? { nil }
    var endTokens: Set<Int32> { [] }
    var addsBos: Bool { false }
    func encode(_ text: String, specials: SpecialTokenHandling) -> [Int32] { text.utf8.map(Int32.init) }
    func token(named name: String) -> Int32? { nil }
    func name(of token: Int32) -> String? { "<\(token)>" }
    func bytes(of token: Int32, includeSpecial: Bool) -> [UInt8] { UInt8(exactly: token).map { [$0] } ?? [] }
    func isControl(_ token: Int32) -> Bool { false }
    var controlTokenSpellings: [String] { [] }
    var dropsLeadingSpace: Bool { false }
}

/// A service that answers a prompt with itself, one token at a time: routes can be tested without a model. It counts what
/// is open, and can be told to be slow, full or broken.
final class ScriptedService: InferenceService {
    struct Script: Sendable {
        var delay = Duration.zero
        var refusal: EngineError?
        var failsAfter: Int?
        /// Whether the stream breaks before it gives anything.
        var failsAtOnce = false
        /// What rendering a conversation does first, on its thread.
        var beforeTemplate: (@Sendable () -> Void)?
        var figures = EngineStatistics()
    }

    private struct State {
        var script: Script
        var open = 0
        var started = 0
        var last: InferenceRequest?
    }

    private let state: Mutex<State>
    let maxModelLength = 4096
    var tokenizer: any Tokenizer { ByteTokenizer() }

    init(_ script: Script = Script()) {
        state = Mutex(State(script: script))
    }

    /// Streams that were begun and not ended.
    var open: Int { state.withLock(\.open) }
    /// The request that came last.
    var last: InferenceRequest? { state.withLock(\.last) }
    /// Streams that were begun.
    var started: Int { state.withLock(\.started) }

    func update(_ change: (inout sending Script) -> Void) {
        state.withLock { state in
            var script = state.script
            change(&script)
            state.script = script
        }
    }

    func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable {
        let script = state.withLock(\.script)
        if let refusal = script.refusal { throw refusal }
        state.withLock { state in
            state.open += 1
            state.started += 1
            state.last = request
        }
        return Echo(request: request, script: script) { [self] in state.withLock { $0.open -= 1 } }
    }

    func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32] {
        state.withLock(\.script.beforeTemplate)?()
        guard case .object(let members)? = messages.last,
            case .string(let text)? = members.first(where: { $0.key == "content" })?.value
        else { throw EngineError(.invalidParameter, "no content", parameter: "messages") }
        return text.utf8.map(Int32.init)
    }

    func statistics() -> EngineStatistics {
        state.withLock { state in
            var figures = state.script.figures
            figures.running = state.open
            return figures
        }
    }

    func shutdown(deadline: Duration) async {
        let end = ContinuousClock.now + deadline
        while open > 0, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(5)) }
    }
}

/// The prompt's tokens as output, or as its embedding.
struct Echo: AsyncSequence, Sendable {
    typealias Element = [InferenceEvent]
    typealias Failure = EngineError

    final class End: Sendable {
        let action: @Sendable () -> Void
        init(_ action: @escaping @Sendable () -> Void) { self.action = action }
        deinit { action() }
    }

    let request: InferenceRequest
    let script: ScriptedService.Script
    let end: End

    init(request: InferenceRequest, script: ScriptedService.Script, _ action: @escaping @Sendable () -> Void) {
        self.request = request
        self.script = script
        end = End(action)
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let echo: Echo
        var position = -1

        mutating func next(isolation actor: isolated (any Actor)?) async throws(EngineError) -> [InferenceEvent]? {
            let count = Swift.min(echo.request.prompt.count, echo.request.sampling.maxTokens ?? .max)
            position += 1
            if echo.script.failsAtOnce { throw EngineError(.unavailable, "broken") }
            if position == 0, echo.request.embeds {
                var facts = InferencePrompt(tokenCount: echo.request.prompt.count, cachedTokenCount: 0)
                facts.embedding = Embedding(values: echo.request.prompt.map { Float($0) })
                position = count
                return [.prompt(facts), .finished(index: 0, reason: .stop, stopText: nil)]
            }
            if position == 0 {
                return [.prompt(InferencePrompt(tokenCount: echo.request.prompt.count, cachedTokenCount: 0))]
            }
            if echo.script.delay > .zero, (try? await Task.sleep(for: echo.script.delay)) == nil { return nil }
            if let limit = echo.script.failsAfter, position > limit { throw EngineError(.unavailable, "broken") }
            guard position <= count else { return nil }
            let token = echo.request.prompt[position - 1]
            var events: [InferenceEvent] = []
            for index in 0..<echo.request.sampleCount {
                let text = String(decoding: [UInt8(truncatingIfNeeded: token)], as: UTF8.self)
                events.append(.output(InferenceDelta(index: index, text: text, tokens: [token])))
                if position == count { events.append(.finished(index: index, reason: .length, stopText: nil)) }
            }
            return events
        }

        mutating func next() async throws(EngineError) -> [InferenceEvent]? { try await next(isolation: nil) }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(echo: self) }
}
