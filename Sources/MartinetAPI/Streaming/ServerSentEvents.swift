public import MartinetJSON
public import MartinetEngine

/// Server-sent events (WHATWG HTML, section 9.2), of the kind that language model APIs use: `data:` lines of one JSON value.
public enum ServerSentEvents {
    /// Marks the end of a stream, as in the OpenAI API.
    public static let done = Array("data: [DONE]\n\n".utf8)

    /// Writes one event whose data the closure writes.
    public static func write(to writer: inout JSONWriter, _ data: (inout JSONWriter) -> Void) {
        writer.raw("data: ")
        data(&writer)
        writer.raw("\n\n")
    }

    /// Writes an error that breaks a stream off.
    public static func write(_ error: APIError, to writer: inout JSONWriter) {
        writer.raw("data: ")
        writer.raw(error.body)
        writer.raw("\n\n")
    }
}

/// Turns a request's events into a surface's stream.
public protocol StreamEncoding: Sendable {
    /// Appends what an event becomes: one server-sent event, several, or nothing.
    ///
    /// - Parameters:
    ///   - event: the engine's event.
    ///   - prompt: which of the request's prompts it belongs to.
    ///   - usage: tokens up to and with this event.
    mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter)
    /// Does what must be done before the last events are sent, such as keeping the answer.
    ///
    /// - Parameter usage: of the whole request.
    mutating func complete(_ usage: Usage) async throws(APIError)
    /// Appends what stands between the last event and ``terminator``.
    mutating func finish(_ usage: Usage, into writer: inout JSONWriter)
    /// Appends the error that breaks the stream off, in the surface's shape, before ``terminator``.
    mutating func fail(_ error: APIError, into writer: inout JSONWriter)
    /// What ends the stream in any case.
    static var terminator: [UInt8] { get }
}

extension StreamEncoding {
    /// Nothing.
    public mutating func complete(_ usage: Usage) async throws(APIError) {}

    /// OpenAI's shape.
    public mutating func fail(_ error: APIError, into writer: inout JSONWriter) {
        ServerSentEvents.write(error, to: &writer)
    }

    /// `[DONE]`, as in the OpenAI API.
    public static var terminator: [UInt8] { ServerSentEvents.done }
}

/// Tokens that a request took.
public struct Usage: Sendable, Hashable {
    /// Tokens in the prompts.
    public var promptTokens = 0
    /// How many of them came from the prefix cache.
    public var cachedTokens = 0
    /// Tokens generated, all samples together.
    public var completionTokens = 0

    /// No tokens.
    public init() {}

    /// The sum of several results.
    public init(_ results: [InferenceResult]) {
        for result in results {
            promptTokens += result.prompt.tokenCount
            cachedTokens += result.prompt.cachedTokenCount
            completionTokens += result.generatedTokenCount
        }
    }

    /// Adds what an event brought.
    public mutating func add(_ event: InferenceEvent) {
        switch event {
        case .prompt(let prompt):
            promptTokens += prompt.tokenCount
            cachedTokens += prompt.cachedTokenCount
        case .output(let delta): completionTokens += delta.tokens.count
        case .finished: break
        }
    }

    /// Writes OpenAI's usage object.
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("prompt_tokens", promptTokens)
            writer.field("completion_tokens", completionTokens)
            writer.field("total_tokens", promptTokens + completionTokens)
            writer.field("prompt_tokens_details") { writer in
                writer.object { $0.field("cached_tokens", cachedTokens) }
            }
        }
    }
}
