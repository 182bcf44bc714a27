public import MartinetJSON
public import MartinetEngine
internal import MartinetTemplates

/// Encodes answers of `/v1/chat/completions`.
public struct ChatAnswer: Sendable {
    private let id: String
    private let created: Int
    private let model: ServedModel
    private let request: ChatRequest
    private let prompt: [Int32]
    /// What every event of a stream begins with.
    private let prefix: [UInt8]
    private var reader: TurnReader
    private var opened: Set<Int> = []

    /// An encoder for the answers to one request, which became `inference`.
    public init(id: String, created: Int, request: ChatRequest, inference: InferenceRequest, model: ServedModel) {
        self.id = id
        self.created = created
        self.request = request
        self.model = model
        prompt = inference.prompt
        reader = request.generation.reader(for: inference, model: model)
        var writer = JSONWriter()
        writer.raw("data: {")
        Self.writeHead(id: id, object: "chat.completion.chunk", created: created, request, model, to: &writer)
        writer.raw(",\"choices\":[")
        prefix = writer.bytes
    }

    private static func writeHead(
        id: String, object: String, created: Int, _ request: ChatRequest, _ model: ServedModel,
        to writer: inout JSONWriter
    ) {
        writer.field("id", id)
        writer.field("object", object)
        writer.field("created", created)
        writer.field("model", model.name)
        writer.field("system_fingerprint", model.fingerprint)
        writer.field("service_tier", request.fields.serviceTier.rawValue)
    }

    /// The whole answer.
    public func body(_ result: InferenceResult) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            Self.writeHead(id: id, object: "chat.completion", created: created, request, model, to: &writer)
            writer.field("choices") { writer in
                writer.array { writer in for output in result.outputs { write(output, to: &writer) } }
            }
            writer.field("usage") { Usage([result]).write(to: &$0) }
            if let logprobs = result.prompt.logprobs {
                writer.field("prompt_logprobs") { Logprobs.writePrompt(logprobs, model.tokenizer, to: &$0) }
            }
            if request.fields.returnTokenIDs { writer.field("prompt_token_ids", prompt) }
        }
        return writer.bytes
    }

    private func write(_ output: InferenceResult.Output, to writer: inout JSONWriter) {
        let turn = reader.turn(output)
        writer.object { writer in
            writer.field("index", output.index)
            writer.field("message") { $0.object { write(turn, to: &$0) } }
            writer.field("logprobs") { writer in
                guard request.logprobs else { return writer.value(nil as Int?) }
                Logprobs.writeChat(
                    output.logprobs, model.tokenizer, byID: request.fields.namesTokensByID, to: &writer)
            }
            writer.field("finish_reason", turn.finish.rawValue)
            writer.field("stop_reason", turn.stopText)
            if request.fields.returnTokenIDs { writer.field("token_ids", output.tokens) }
        }
    }

    private func write(_ turn: Turn, to writer: inout JSONWriter) {
        let text = request.echo + turn.text
        writer.field("role", "assistant")
        writer.field("content", text.isEmpty && !turn.calls.isEmpty ? nil : text)
        writer.field("refusal", nil as String?)
        if !turn.reasoning.isEmpty, request.includesReasoning {
            writer.field("reasoning_content", turn.reasoning)
            writer.field("reasoning", turn.reasoning)
        }
        guard !turn.calls.isEmpty else { return }
        writer.field("tool_calls") { writer in
            writer.array { writer in
                for call in turn.calls {
                    writer.object { writer in
                        writer.field("id", call.id)
                        writer.field("type", "function")
                        writer.field("function") { writer in
                            writer.object { writer in
                                writer.field("name", call.name)
                                writer.field("arguments", call.arguments)
                            }
                        }
                    }
                }
            }
        }
    }
}

extension ChatAnswer: StreamEncoding {
    /// Chunks with one choice each; the first of a choice carries the role.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        switch event {
        case .prompt: for index in 0..<request.fields.sampleCount { open(index, usage: usage, into: &writer) }
        case .output(let delta):
            open(delta.index, usage: usage, into: &writer)
            var isFirst = true
            for turn in reader.read(event) {
                guard case .piece(let piece) = turn.kind, shows(piece) else { continue }
                // What belongs to tokens, not to text, goes with the first chunk that they give.
                chunk(delta.index, usage, delta: isFirst ? delta : nil, into: &writer) { write(piece, to: &$0) }
                isFirst = false
            }
            let carriesTokens = !delta.tokens.isEmpty && (request.logprobs || request.fields.returnTokenIDs)
            if isFirst, carriesTokens {
                chunk(delta.index, usage, delta: delta, into: &writer) { $0.raw("\"content\":\"\"") }
            }
        case .finished(let index, _, _):
            open(index, usage: usage, into: &writer)
            for turn in reader.read(event) {
                switch turn.kind {
                case .piece(let piece):
                    if shows(piece) { chunk(index, usage, delta: nil, into: &writer) { write(piece, to: &$0) } }
                case .finished(let finish, let stopText):
                    writer.raw(prefix)
                    writer.raw("{\"index\":")
                    writer.value(index)
                    writer.raw(",\"delta\":{},\"logprobs\":null,")
                    writer.field("finish_reason", finish.rawValue)
                    writer.field("stop_reason", stopText)
                    close(usage, into: &writer)
                }
            }
        }
    }

    private func shows(_ piece: TurnPiece) -> Bool {
        if case .reasoning = piece { request.includesReasoning } else { true }
    }

    /// Writes the members of a delta.
    private func write(_ piece: TurnPiece, to writer: inout JSONWriter) {
        switch piece {
        case .text(let text):
            writer.raw("\"content\":\"")
            writer.appendEscaped(text)
            writer.raw("\"")
        case .reasoning(let text):
            writer.field("reasoning_content", text)
            writer.field("reasoning", text)
        case .call(let index, let name):
            writer.field("tool_calls") { writer in
                writer.array { writer in
                    writer.object { writer in
                        writer.field("index", index)
                        writer.field("id", reader.makeCallID())
                        writer.field("type", "function")
                        writer.field("function") { writer in
                            writer.object { writer in
                                writer.field("name", name)
                                writer.field("arguments", "")
                            }
                        }
                    }
                }
            }
        case .arguments(let index, let text):
            writer.field("tool_calls") { writer in
                writer.array { writer in
                    writer.object { writer in
                        writer.field("index", index)
                        writer.field("function") { $0.object { $0.field("arguments", text) } }
                    }
                }
            }
        }
    }

    private func chunk(
        _ index: Int, _ usage: Usage, delta: InferenceDelta?, into writer: inout JSONWriter,
        _ members: (inout JSONWriter) -> Void
    ) {
        writer.raw(prefix)
        writer.raw("{\"index\":")
        writer.value(index)
        writer.raw(",\"delta\":{")
        members(&writer)
        if request.logprobs, let delta, !delta.logprobs.isEmpty {
            writer.raw("},\"logprobs\":")
            Logprobs.writeChat(
                delta.logprobs, model.tokenizer, byID: request.fields.namesTokensByID, to: &writer)
            writer.raw(",\"finish_reason\":null")
        } else {
            writer.raw("},\"logprobs\":null,\"finish_reason\":null")
        }
        if request.fields.returnTokenIDs {
            writer.raw(",")
            writer.field("token_ids", delta?.tokens ?? [])
        }
        close(usage, into: &writer)
    }

    private mutating func open(_ index: Int, usage: Usage, into writer: inout JSONWriter) {
        guard opened.insert(index).inserted else { return }
        writer.raw(prefix)
        writer.raw("{\"index\":")
        writer.value(index)
        writer.raw(",\"delta\":{\"role\":\"assistant\",\"content\":\"")
        writer.appendEscaped(request.echo)
        writer.raw("\"},\"logprobs\":null,\"finish_reason\":null}]")
        if request.fields.returnTokenIDs, opened.count == 1 {
            writer.raw(",")
            writer.field("prompt_token_ids", prompt)
        }
        end(usage, into: &writer)
    }

    private func close(_ usage: Usage, into writer: inout JSONWriter) {
        writer.raw("}]")
        end(usage, into: &writer)
    }

    /// Writes what stands behind a chunk's choices.
    private func end(_ usage: Usage, into writer: inout JSONWriter) {
        if request.streaming.continuousUsage {
            writer.raw(",\"usage\":")
            usage.write(to: &writer)
            writer.raw("}\n\n")
        } else if request.streaming.includeUsage {
            writer.raw(",\"usage\":null}\n\n")
        } else {
            writer.raw("}\n\n")
        }
    }

    /// The usage chunk, where asked for.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {
        guard request.streaming.includeUsage else { return }
        writer.raw(prefix)
        writer.raw("],\"usage\":")
        usage.write(to: &writer)
        writer.raw("}\n\n")
    }
}
