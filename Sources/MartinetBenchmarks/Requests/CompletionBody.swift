internal import Foundation

/// Which route of a server is measured.
public enum CompletionRoute: String, Sendable, Hashable, CaseIterable {
    /// `/v1/completions`.
    case completions
    /// `/v1/chat/completions`.
    case chat

    /// The path below the server's base.
    public var path: String { self == .chat ? "/chat/completions" : "/completions" }
}

/// The body of a request, as OpenAI's API defines it with what inference servers add.
public struct CompletionBody: Sendable, Hashable {
    /// The route it is for.
    public var route: CompletionRoute
    /// The model's name at the server.
    public var model: String
    /// Most tokens of the answer.
    public var outputTokens: Int
    /// 0 is greedy.
    public var temperature = 0.0
    /// Asks for answers of full length: a field that OpenAI itself does not know.
    public var ignoresEndOfText = true
    /// Asks for the server's count of tokens at the end of a stream.
    public var includesUsage = true

    /// Describes the requests of a run.
    public init(route: CompletionRoute, model: String, outputTokens: Int) {
        self.route = route
        self.model = model
        self.outputTokens = outputTokens
    }

    /// The body for a prompt.
    public func encoded(_ prompt: BenchmarkPrompt) throws -> [UInt8] {
        struct Wire: Encodable {
            struct StreamOptions: Encodable {
                var include_usage = true
            }
            var model: String
            var prompt: String?
            var messages: [BenchmarkPrompt.Message]?
            var max_tokens: Int
            var temperature: Double
            var stream = true
            var stream_options: StreamOptions?
            var ignore_eos: Bool?
        }
        let wire = Wire(
            model: model, prompt: route == .completions ? prompt.text : nil,
            messages: route == .chat ? prompt.messages : nil, max_tokens: outputTokens, temperature: temperature,
            stream_options: includesUsage ? .init() : nil, ignore_eos: ignoresEndOfText ? true : nil)
        return Array(try JSONEncoder().encode(wire))
    }
}
