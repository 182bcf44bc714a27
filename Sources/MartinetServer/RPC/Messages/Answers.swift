internal import Foundation
internal import MartinetAPI
internal import MartinetEngine
internal import MartinetInferenceProtocol
internal import MartinetTokenizers

/// The samples that have something new, in the order in which it came.
struct NewOutputs {
    private(set) var outputs: [RPCOutput] = []
    let tokenizer: any Tokenizer

    mutating func add(_ event: InferenceEvent) {
        switch event {
        case .prompt: break
        case .output(let delta):
            guard !delta.text.isEmpty || !delta.tokens.isEmpty else { return }
            let tokenizer = tokenizer
            update(delta.index) { output in
                output.text += delta.text
                output.tokenIds += delta.tokens
                output.logprobs += delta.logprobs.map { RPCTokenLogprobs($0, tokenizer) }
            }
        case .finished(let index, let reason, let stopText):
            update(index) { output in
                output.finishReason = RPCFinishReason(reason)
                if let stopText { output.stopText = stopText }
            }
        }
    }

    private mutating func update(_ index: Int, _ change: (inout RPCOutput) -> Void) {
        if let place = outputs.lastIndex(where: { $0.index == index }) { return change(&outputs[place]) }
        var output = RPCOutput()
        output.index = Int32(clamping: index)
        change(&output)
        outputs.append(output)
    }

    /// What is new, which is old from then on.
    mutating func take() -> [RPCOutput] {
        defer { outputs = [] }
        return outputs
    }
}

extension RPCOutput {
    init(_ output: InferenceResult.Output, _ tokenizer: any Tokenizer) {
        self.init()
        index = Int32(clamping: output.index)
        text = output.text
        tokenIds = output.tokens
        logprobs = output.logprobs.map { RPCTokenLogprobs($0, tokenizer) }
        finishReason = RPCFinishReason(output.finishReason)
        if let stop = output.stopText { stopText = stop }
    }
}

extension RPCFinishReason {
    init(_ reason: FinishReason) {
        switch reason {
        case .stop: self = .stop
        case .length: self = .length
        case .abort: self = .abort
        }
    }

    init(_ finish: TurnFinish) {
        switch finish {
        case .stop: self = .stop
        case .length: self = .length
        case .toolCalls: self = .toolCalls
        case .abort: self = .abort
        }
    }
}

extension RPCUsage {
    init(_ usage: Usage) {
        self.init()
        promptTokens = Int64(usage.promptTokens)
        cachedTokens = Int64(usage.cachedTokens)
        completionTokens = Int64(usage.completionTokens)
    }
}

extension RPCTokenLogprobs {
    init(_ logprobs: TokenLogprobs, _ tokenizer: any Tokenizer) {
        self.init()
        chosen = Candidate(logprobs.chosen, tokenizer)
        top = logprobs.top.map { Candidate($0, tokenizer) }
    }

    /// One for each token of a prompt; what nothing precedes has no candidates.
    static func prompt(_ result: InferenceResult, _ tokenizer: any Tokenizer) -> [RPCTokenLogprobs] {
        (result.prompt.logprobs ?? []).map { $0.map { RPCTokenLogprobs($0, tokenizer) } ?? RPCTokenLogprobs() }
    }
}

extension RPCTokenLogprobs.Candidate {
    fileprivate init(_ entry: TokenLogprobs.Entry, _ tokenizer: any Tokenizer) {
        self.init()
        tokenID = entry.token
        token = Data(tokenizer.bytes(of: entry.token, includeSpecial: true))
        logprob = entry.logprob
        rank = Int32(clamping: entry.rank)
    }
}

extension RPCModel {
    init(_ model: ServedModel, name: String) {
        self.init()
        self.name = name
        root = model.root
        created = Int64(model.created)
        maxModelLength = Int64(model.maxModelLength)
    }

    init(elsewhere name: String) {
        self.init()
        self.name = name
        root = name
        elsewhere = true
    }
}
