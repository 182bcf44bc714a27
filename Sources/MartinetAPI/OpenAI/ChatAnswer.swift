public import MartinetJSON
public import MartinetEngine

/// Encodes answers of `/v1/chat/completions`.
public struct ChatAnswer: Sendable {
    private let id: String
    private let created: Int
    private let model: ServedModel
    private let request: ChatRequest
    /// What every event of a stream begins with.
    private let prefix: [UInt8]
    private var opened: Set<Int> = []

    /// An encoder for the answers to one request.
    public init(id: String, created: Int, request: ChatRequest, model: ServedModel) {
        self.id = id
        self.created = created
        self.request = request
        self.model = model
        var writer = JSONWriter()
        writer.raw("data: {")
        writer.field("id", id)
        writer.field("object", "chat.completion.chunk")
        writer.field("created", created)
        writer.field("model", model.name)
        writer.raw(",\"choices\":[")
        prefix = writer.bytes
    }

    /// The whole answer.
    public func body(_ result: InferenceResult, prompt: [Int32]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("id", id)
            writer.field("object", "chat.completion")
            writer.field("created", created)
            writer.field("model", model.name)
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
        writer.object { writer in
            writer.field("index", output.index)
            writer.field("message") { writer in
                writer.object { writer in
                    writer.field("role", "assistant")
                    writer.field("content", output.text)
                    writer.field("refusal", nil as String?)
                }
            }
            writer.field("logprobs") { writer in
                guard request.logprobs else { return writer.value(nil as Int?) }
                Logprobs.writeChat(output.logprobs, model.tokenizer, to: &writer)
            }
            writer.field("finish_reason", output.finishReason.rawValue)
            writer.field("stop_reason", output.stopText)
            if request.fields.returnTokenIDs { writer.field("token_ids", output.tokens) }
        }
    }
}

extension ChatAnswer: StreamEncoding {
    /// Chunks with one choice each; the first of a choice carries the role.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        switch event {
        case .prompt:
            for index in 0..<request.fields.sampleCount { open(index, usage: usage, into: &writer) }
        case .output(let delta):
            open(delta.index, usage: usage, into: &writer)
            let carriesTokens = !delta.tokens.isEmpty && (request.logprobs || request.fields.returnTokenIDs)
            guard !delta.text.isEmpty || carriesTokens else { return }
            writer.raw(prefix)
            writer.raw("{\"index\":")
            writer.value(delta.index)
            writer.raw(",\"delta\":{\"content\":\"")
            writer.appendEscaped(delta.text)
            if request.logprobs, !delta.logprobs.isEmpty {
                writer.raw("\"},\"logprobs\":")
                Logprobs.writeChat(delta.logprobs, model.tokenizer, to: &writer)
                writer.raw(",\"finish_reason\":null")
            } else {
                writer.raw("\"},\"logprobs\":null,\"finish_reason\":null")
            }
            if request.fields.returnTokenIDs {
                writer.raw(",")
                writer.field("token_ids", delta.tokens)
            }
            close(usage, into: &writer)
        case .finished(let index, let reason, let stopText):
            open(index, usage: usage, into: &writer)
            writer.raw(prefix)
            writer.raw("{\"index\":")
            writer.value(index)
            writer.raw(",\"delta\":{},\"logprobs\":null,")
            writer.field("finish_reason", reason.rawValue)
            writer.field("stop_reason", stopText)
            close(usage, into: &writer)
        }
    }

    private mutating func open(_ index: Int, usage: Usage, into writer: inout JSONWriter) {
        guard opened.insert(index).inserted else { return }
        writer.raw(prefix)
        writer.raw("{\"index\":")
        writer.value(index)
        writer.raw(",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null")
        close(usage, into: &writer)
    }

    private func close(_ usage: Usage, into writer: inout JSONWriter) {
        if request.streaming.continuousUsage {
            writer.raw("}],\"usage\":")
            usage.write(to: &writer)
            writer.raw("}\n\n")
        } else if request.streaming.includeUsage {
            writer.raw("}],\"usage\":null}\n\n")
        } else {
            writer.raw("}]}\n\n")
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
