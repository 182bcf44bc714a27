public import MartinetJSON
public import MartinetEngine
internal import MartinetTokenizers

/// Encodes answers of `/v1/completions`.
public struct CompletionAnswer: Sendable {
    private let id: String
    private let created: Int
    private let model: ServedModel
    private let request: CompletionRequest
    private let prompts: [[Int32]]
    /// What every event of a stream begins with.
    private let prefix: [UInt8]
    private var promptLogprobs: [Int: [TokenLogprobs?]] = [:]
    private var offsets: [Int: Int] = [:]
    private var echoed: Set<Int> = []

    /// An encoder for the answers to one request, whose prompts became `prompts`.
    public init(id: String, created: Int, request: CompletionRequest, prompts: [[Int32]], model: ServedModel) {
        self.id = id
        self.created = created
        self.request = request
        self.prompts = prompts
        self.model = model
        var writer = JSONWriter()
        Self.writeHead(id: id, created: created, request, model, to: &writer)
        prefix = writer.bytes
    }

    private static func writeHead(
        id: String, created: Int, _ request: CompletionRequest, _ model: ServedModel, to writer: inout JSONWriter
    ) {
        writer.raw("{")
        writer.field("id", id)
        writer.field("object", "text_completion")
        writer.field("created", created)
        writer.field("model", model.name)
        writer.field("system_fingerprint", model.fingerprint)
        writer.field("service_tier", request.fields.serviceTier.rawValue)
    }

    /// The whole answer; choices stand in the order of prompts and samples.
    public func body(_ results: [InferenceResult]) -> [UInt8] {
        var writer = JSONWriter()
        Self.writeHead(id: id, created: created, request, model, to: &writer)
        writer.field("choices") { writer in
            writer.array { writer in
                for (index, result) in results.enumerated() {
                    for output in result.outputs { write(output, prompt: index, of: result, to: &writer) }
                }
            }
        }
        var usage = Usage(results)
        if request.wantsNoTokens { usage.completionTokens = 0 }
        writer.field("usage") { usage.write(to: &$0) }
        writer.raw("}")
        return writer.bytes
    }

    private func write(
        _ output: InferenceResult.Output, prompt: Int, of result: InferenceResult, to writer: inout JSONWriter
    ) {
        let text = request.wantsNoTokens ? "" : output.text
        let tokens = request.wantsNoTokens ? [] : output.tokens
        writer.object { writer in
            writer.field("index", prompt * request.fields.sampleCount + output.index)
            writer.field("text", request.echo ? promptText(prompt) + text : text)
            writer.field("logprobs") { writer in
                guard let top = request.logprobs else { return writer.value(nil as Int?) }
                var entries: [(token: Int32, logprobs: TokenLogprobs?)] = []
                if request.echo { entries = promptEntries(prompt, result.prompt.logprobs) }
                entries += zip(tokens, output.logprobs).map { (token: $0, logprobs: $1) }
                var offset = 0
                Logprobs.writeCompletion(
                    entries, top: top, offset: &offset, model.tokenizer, byID: request.fields.namesTokensByID,
                    to: &writer)
            }
            writer.field("finish_reason", request.wantsNoTokens ? "length" : output.finishReason.rawValue)
            writer.field("stop_reason", output.stopText)
            if !request.echo, let logprobs = result.prompt.logprobs {
                writer.field("prompt_logprobs") { Logprobs.writePrompt(logprobs, model.tokenizer, to: &$0) }
            }
            if request.fields.returnTokenIDs {
                writer.field("prompt_token_ids", prompts[prompt])
                writer.field("token_ids", tokens)
            }
        }
    }

    private func promptText(_ prompt: Int) -> String {
        switch request.prompts[prompt] {
        case .text(let text): text
        case .tokens(let tokens): model.tokenizer.decode(tokens, includeSpecial: true)
        }
    }

    private func promptEntries(
        _ prompt: Int, _ logprobs: [TokenLogprobs?]?
    ) -> [(token: Int32, logprobs: TokenLogprobs?)] {
        prompts[prompt].enumerated().map { index, token in
            (token: token, logprobs: logprobs.flatMap { $0.indices.contains(index) ? $0[index] : nil })
        }
    }
}

extension CompletionAnswer: StreamEncoding {
    /// Events in the shape of `text_completion` with one choice each.
    public mutating func encode(_ event: InferenceEvent, prompt: Int, usage: Usage, into writer: inout JSONWriter) {
        switch event {
        case .prompt(let facts): promptLogprobs[prompt] = facts.logprobs
        case .output(let delta):
            let choice = prompt * request.fields.sampleCount + delta.index
            let echo = request.echo && echoed.insert(choice).inserted
            let text = request.wantsNoTokens ? "" : delta.text
            let tokens = request.wantsNoTokens ? [] : delta.tokens
            guard
                echo || !text.isEmpty || (!tokens.isEmpty && (request.logprobs != nil || request.fields.returnTokenIDs))
            else { return }
            var entries: [(token: Int32, logprobs: TokenLogprobs?)] = []
            if request.logprobs != nil {
                if echo { entries = promptEntries(prompt, promptLogprobs[prompt]) }
                entries += zip(tokens, delta.logprobs).map { (token: $0, logprobs: $1) }
            }
            var offset = offsets[choice] ?? 0
            let whole = echo ? promptText(prompt) + text : text
            writeEvent(choice, text: whole, reason: nil, stopText: nil, usage: usage, to: &writer) { writer in
                guard let top = request.logprobs else { return writer.value(nil as Int?) }
                Logprobs.writeCompletion(
                    entries, top: top, offset: &offset, model.tokenizer, byID: request.fields.namesTokensByID,
                    to: &writer)
            } tokens: {
                tokens
            }
            offsets[choice] = offset
        case .finished(let index, let reason, let stopText):
            let choice = prompt * request.fields.sampleCount + index
            writeEvent(
                choice, text: "", reason: request.wantsNoTokens ? .length : reason, stopText: stopText, usage: usage,
                to: &writer
            ) { writer in
                writer.value(nil as Int?)
            } tokens: {
                []
            }
        }
    }

    private func writeEvent(
        _ choice: Int, text: String, reason: FinishReason?, stopText: String?, usage: Usage,
        to writer: inout JSONWriter, logprobs: (inout JSONWriter) -> Void, tokens: () -> [Int32]
    ) {
        writer.raw("data: ")
        writer.raw(prefix)
        writer.raw(",\"choices\":[")
        writer.object { writer in
            writer.field("index", choice)
            writer.field("text", text)
            writer.field("logprobs", logprobs)
            writer.field("finish_reason", reason?.rawValue)
            if reason != nil { writer.field("stop_reason", stopText) }
            if request.fields.returnTokenIDs { writer.field("token_ids", tokens()) }
        }
        writer.raw("]")
        if request.streaming.continuousUsage {
            writer.raw(",\"usage\":")
            usage.write(to: &writer)
        } else if request.streaming.includeUsage {
            writer.raw(",\"usage\":null")
        }
        writer.raw("}\n\n")
    }

    /// The usage event, where asked for.
    public mutating func finish(_ usage: Usage, into writer: inout JSONWriter) {
        guard request.streaming.includeUsage else { return }
        var usage = usage
        if request.wantsNoTokens { usage.completionTokens = 0 }
        writer.raw("data: ")
        writer.raw(prefix)
        writer.raw(",\"choices\":[],\"usage\":")
        usage.write(to: &writer)
        writer.raw("}\n\n")
    }
}
