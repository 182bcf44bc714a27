public import MartinetEngine
internal import MartinetTemplates
public import MartinetJSON

/// Encodes answers of `/v1/messages`.
public struct MessagesAnswer: Sendable {
    /// A block of content that is being written.
    private enum Block {
        case thinking, text, call(Int)
    }

    /// Blocks of thinking must carry a signature. Nothing is signed here, and none is checked.
    private static let signature = "unsigned"

    private let id: String
    private let requestID: String
    private let model: ServedModel
    private let request: MessagesRequest
    private let maxTokens: Int
    private var reader: TurnReader
    private var isStarted = false
    private var open: Block?
    private var blockCount = 0
    /// White space that becomes text only where more text follows.
    private var space = ""
    private var ending: (reason: TurnFinish, stopText: String?)?

    /// An encoder for the answer to one request.
    ///
    /// - Parameters:
    ///   - id: the message's name, `msg_…`.
    ///   - requestID: names the request in errors.
    ///   - reader: of the request's turn.
    public init(id: String, requestID: String, request: MessagesRequest, reader: TurnReader, model: ServedModel) {
        self.id = id
        self.requestID = requestID
        self.request = request
        self.model = model
        self.reader = reader
        self.reader.callIDPrefix = "toolu_"
        maxTokens = request.generation.fields.sampling.maxTokens ?? .max
    }

    /// The whole answer.
    public func body(_ result: InferenceResult) -> [UInt8] {
        let turn = result.outputs.first.map(reader.turn) ?? Turn()
        let usage = Usage([result])
        var writer = JSONWriter()
        writeMessage(
            to: &writer, usage: usage, reason: reason(turn.finish, turn.stopText, usage), stopText: turn.stopText
        ) { writer in
            if !turn.reasoning.isEmpty {
                writer.object { writer in
                    writer.field("type", "thinking")
                    writer.field("thinking", request.showsThinking ? turn.reasoning : "")
                    writer.field("signature", Self.signature)
                }
            }
            if turn.text.contains(where: { !$0.isWhitespace }) || (turn.calls.isEmpty && !turn.text.isEmpty) {
                writer.object { writer in
                    writer.field("type", "text")
                    writer.field("text", turn.text)
                }
            }
            for call in turn.calls {
                writer.object { writer in
                    writer.field("type", "tool_use")
                    writer.field("id", call.id)
                    writer.field("name", call.name)
                    writer.field("input") { $0.value(Self.input(call.arguments)) }
                }
            }
        }
        return writer.bytes
    }

    /// A call's arguments; none where the model was cut off, or wrote something else than an object.
    private static func input(_ text: String) -> JSONValue {
        guard let value = try? JSONParser.parse(Array(text.utf8)), case .object = value else { return .object([]) }
        return value
    }

    private func writeMessage(
        to writer: inout JSONWriter, usage: Usage, reason: String?, stopText: String?,
        content: (inout JSONWriter) -> Void
    ) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("type", "message")
            writer.field("role", "assistant")
            writer.field("model", model.name)
            writer.field("content") { $0.array(content) }
            writer.field("stop_reason", reason)
            writer.field("stop_sequence", stopText)
            writer.field("usage") { write(usage, to: &$0, isWhole: true) }
        }
    }

    private func write(_ usage: Usage, to writer: inout JSONWriter, isWhole: Bool) {
        writer.object { writer in
            // What came from the cache is counted apart.
            writer.field("input_tokens", usage.promptTokens - usage.cachedTokens)
            writer.field("cache_creation_input_tokens", 0)
            writer.field("cache_read_input_tokens", usage.cachedTokens)
            writer.field("output_tokens", usage.completionTokens)
            if isWhole { writer.field("service_tier", "standard") }
        }
    }

    private func reason(_ finish: TurnFinish, _ stopText: String?, _ usage: Usage) -> String {
        switch finish {
        case .toolCalls: "tool_use"
        case .stop: stopText == nil ? "end_turn" : "stop_sequence"
        case .length: usage.completionTokens < maxTokens ? "model_context_window_exceeded" : "max_tokens"
        case .abort: "end_turn"
        }
    }
}

extension MessagesAnswer: StreamEncoding {
    /// The message's start, then its blocks one after the other.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        start(usage, into: &writer)
        for event in reader.read(event) where event.sample == 0 {
            switch event.kind {
            case .piece(let piece): write(piece, into: &writer)
            case .finished(let reason, let stopText): ending = (reason, stopText)
            }
        }
    }

    private mutating func start(_ usage: Usage, into writer: inout JSONWriter) {
        guard !isStarted else { return }
        isStarted = true
        ServerSentEvents.write("message_start", to: &writer) { writer in
            writer.field("message") { writer in
                writeMessage(to: &writer, usage: usage, reason: nil, stopText: nil) { _ in }
            }
        }
        ServerSentEvents.write("ping", to: &writer)
    }

    private mutating func write(_ piece: TurnPiece, into writer: inout JSONWriter) {
        switch piece {
        case .reasoning(let text):
            if case .thinking? = open {
            } else {
                begin(.thinking, into: &writer) { writer in
                    writer.field("type", "thinking")
                    writer.field("thinking", "")
                    writer.field("signature", "")
                }
            }
            if request.showsThinking { delta("thinking_delta", "thinking", text, into: &writer) }
        case .text(let text):
            if case .text? = open {
            } else {
                space += text
                guard text.contains(where: { !$0.isWhitespace }) else { return }
                let whole = space
                begin(.text, into: &writer) { writer in
                    writer.field("type", "text")
                    writer.field("text", "")
                }
                return delta("text_delta", "text", whole, into: &writer)
            }
            delta("text_delta", "text", text, into: &writer)
        case .call(let index, let name):
            let callID = reader.makeCallID()
            begin(.call(index), into: &writer) { writer in
                writer.field("type", "tool_use")
                writer.field("id", callID)
                writer.field("name", name)
                writer.field("input") { $0.object { _ in } }
            }
        case .arguments(let index, let text):
            guard case .call(index)? = open else { return }
            delta("input_json_delta", "partial_json", text, into: &writer)
        }
    }

    private mutating func begin(
        _ block: Block, into writer: inout JSONWriter, _ content: (inout JSONWriter) -> Void
    ) {
        close(into: &writer)
        space = ""
        open = block
        ServerSentEvents.write("content_block_start", to: &writer) { writer in
            writer.field("index", blockCount)
            writer.field("content_block") { $0.object(content) }
        }
    }

    private func delta(
        _ type: StaticString, _ field: StaticString, _ text: String, into writer: inout JSONWriter
    ) {
        writer.raw("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":")
        writer.value(blockCount)
        writer.raw(",\"delta\":{\"type\":\"")
        writer.raw(type)
        writer.raw("\",\"")
        writer.raw(field)
        writer.raw("\":\"")
        writer.appendEscaped(text)
        writer.raw("\"}}\n\n")
    }

    private mutating func close(into writer: inout JSONWriter) {
        guard let block = open else { return }
        open = nil
        if case .thinking = block { delta("signature_delta", "signature", Self.signature, into: &writer) }
        ServerSentEvents.write("content_block_stop", to: &writer) { $0.field("index", blockCount) }
        blockCount += 1
    }

    /// The last block's end, why the message ended, and its end.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {
        start(usage, into: &writer)
        // An answer of white space alone is one.
        if blockCount == 0, open == nil, !space.isEmpty {
            let whole = space
            begin(.text, into: &writer) { writer in
                writer.field("type", "text")
                writer.field("text", "")
            }
            delta("text_delta", "text", whole, into: &writer)
        }
        close(into: &writer)
        ServerSentEvents.write("message_delta", to: &writer) { writer in
            writer.field("delta") { writer in
                writer.object { writer in
                    writer.field("stop_reason", reason(ending?.reason ?? .abort, ending?.stopText, usage))
                    writer.field("stop_sequence", ending?.stopText)
                }
            }
            writer.field("usage") { write(usage, to: &$0, isWhole: false) }
        }
        ServerSentEvents.write("message_stop", to: &writer)
    }

    /// An `error` event in Anthropic's shape.
    public mutating func fail(_ error: APIError, into writer: inout JSONWriter) {
        writer.raw(ErrorShape.anthropic.events(error, requestID: requestID))
    }

    /// Nothing: `message_stop` or the error ends the stream.
    public static var terminator: [UInt8] { [] }
}
