public import MartinetJSON
public import MartinetEngine
internal import MartinetTokenizers

/// Encodes answers of `/generate` and `/generate_batch`.
public struct GenerateAnswer: Sendable {
    private let id: String
    private let model: ServedModel
    private let request: GenerateRequest

    /// An encoder for the answers to one request.
    public init(id: String, request: GenerateRequest, model: ServedModel) {
        self.id = id
        self.request = request
        self.model = model
    }

    /// The whole answer; results stand in the order of the prompts.
    public func body(_ results: [InferenceResult]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("request_id", id)
            writer.field("model", model.name)
            if !request.isBatch, let prompt = request.prompts.first { write(prompt, to: &writer) }
            writer.field("outputs") { writer in
                writer.array { writer in
                    for (index, result) in results.enumerated() {
                        for output in result.outputs {
                            write(
                                output, index: request.isBatch ? index : output.index,
                                prompt: request.isBatch ? request.prompts[index] : nil, to: &writer)
                        }
                    }
                }
            }
            if let logprobs = results.first?.prompt.logprobs, !request.isBatch {
                writer.field("prompt_logprobs") { Logprobs.writePrompt(logprobs, model.tokenizer, to: &$0) }
            }
            writer.field("usage") { Usage(results).write(to: &$0) }
        }
        return writer.bytes
    }

    private func write(_ prompt: Prompt, to writer: inout JSONWriter) {
        switch prompt {
        case .text(let text): writer.field("prompt", text)
        case .tokens(let tokens):
            writer.field("prompt", model.tokenizer.decode(tokens, includeSpecial: true))
            writer.field("prompt_token_ids", tokens)
        }
    }

    private func write(
        _ output: InferenceResult.Output, index: Int, prompt: Prompt?, to writer: inout JSONWriter
    ) {
        writer.object { writer in
            writer.field("index", index)
            if let prompt { write(prompt, to: &writer) }
            writer.field("text", output.text)
            writer.field("token_ids", output.tokens)
            writer.field("finish_reason", output.finishReason.rawValue)
            writer.field("stop_reason", output.stopText)
            if !output.logprobs.isEmpty {
                writer.field("logprobs") { Logprobs.writeChat(output.logprobs, model.tokenizer, to: &$0) }
            }
        }
    }
}

extension GenerateAnswer: StreamEncoding {
    /// One event for each delta: `{"request_id","outputs":[{"index","text","token_ids","finish_reason"}]}`; `text` is what
    /// is new.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        switch event {
        case .prompt: return
        case .output(let delta):
            guard !delta.text.isEmpty || !delta.tokens.isEmpty else { return }
            writeEvent(to: &writer) { writer in
                writer.object { writer in
                    writer.field("index", delta.index)
                    writer.field("text", delta.text)
                    writer.field("token_ids", delta.tokens)
                    writer.field("finish_reason", nil as String?)
                    if !delta.logprobs.isEmpty {
                        writer.field("logprobs") { Logprobs.writeChat(delta.logprobs, model.tokenizer, to: &$0) }
                    }
                }
            }
        case .finished(let index, let reason, let stopText):
            writeEvent(to: &writer) { writer in
                writer.object { writer in
                    writer.field("index", index)
                    writer.field("text", "")
                    writer.field("token_ids", [] as [Int32])
                    writer.field("finish_reason", reason.rawValue)
                    writer.field("stop_reason", stopText)
                }
            }
        }
    }

    private func writeEvent(to writer: inout JSONWriter, _ output: (inout JSONWriter) -> Void) {
        ServerSentEvents.write(to: &writer) { writer in
            writer.object { writer in
                writer.field("request_id", id)
                writer.field("outputs") { $0.array(output) }
            }
        }
    }

    /// The last event carries the usage.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {
        ServerSentEvents.write(to: &writer) { writer in
            writer.object { writer in
                writer.field("request_id", id)
                writer.field("outputs") { $0.array { _ in } }
                writer.field("usage") { usage.write(to: &$0) }
            }
        }
    }
}
