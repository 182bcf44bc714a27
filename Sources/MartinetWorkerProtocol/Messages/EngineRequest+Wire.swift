package import MartinetEngine
internal import MartinetGrammars

extension WireSubmit {
    /// Writes a request.
    ///
    /// - Parameter number: names it on its connection.
    package init(_ request: EngineRequest, number: UInt64) {
        self.request = number
        id = request.id
        prompt = request.prompt
        sampling = WireSampling(request.sampling)
        embeds = request.embeds
        sampleIndex = Int64(request.sampleIndex)
        sampleCount = Int64(request.sampleCount)
        emitted = request.emitted
        priority = Int64(request.priority)
        if let salt = request.cacheSalt { cacheSalt = salt }
        if let deadline = request.deadline {
            let left = ((deadline - .now) / .milliseconds(1)).rounded(.up)
            millisecondsLeft = Int64(max(0, min(left, Double(EngineRequest.longestDeadline))))
        }
    }
}

extension EngineRequest {
    /// In milliseconds, a month; a later deadline is none that matters.
    fileprivate static let longestDeadline: Int64 = 31 * 86_400_000

    /// Reads a request; ``validate(_:)`` is still to say whether it makes sense.
    ///
    /// - Throws: ``EngineError`` where fields are missing or contradict each other.
    package init(_ wire: WireSubmit) throws(EngineError) {
        guard wire.hasSampling else {
            throw EngineError(.invalidParameter, "The request has no sampling parameters.", parameter: "sampling")
        }
        self.init(
            id: wire.id, prompt: wire.prompt, sampling: try SamplingParameters(wire.sampling),
            sampleIndex: Int(wire.sampleIndex), sampleCount: Int(wire.sampleCount), emitted: wire.emitted,
            priority: Int(wire.priority), cacheSalt: wire.hasCacheSalt ? wire.cacheSalt : nil,
            deadline: wire.hasMillisecondsLeft
                ? .now + .milliseconds(min(max(0, wire.millisecondsLeft), Self.longestDeadline)) : nil)
        embeds = wire.embeds
    }
}

extension WireSampling {
    init(_ sampling: SamplingParameters) {
        temperature = sampling.temperature
        topP = sampling.topP
        topK = Int64(sampling.topK)
        minP = sampling.minP
        repetitionPenalty = sampling.repetitionPenalty
        presencePenalty = sampling.presencePenalty
        frequencyPenalty = sampling.frequencyPenalty
        if let value = sampling.seed { seed = value }
        if let value = sampling.maxTokens { maxTokens = Int64(value) }
        minTokens = Int64(sampling.minTokens)
        stopTokens = Array(sampling.stopTokens)
        ignoreEndOfText = sampling.ignoreEndOfText
        for (token, bias) in sampling.logitBias {
            biasTokens.append(token)
            biasValues.append(bias)
        }
        if let value = sampling.logprobs { logprobs = Int64(value) }
        if let value = sampling.promptLogprobs { promptLogprobs = Int64(value) }
        badWords = sampling.badWords.map { WireTokens($0) }
        if let value = sampling.allowedTokens { allowedTokens = WireTokens(value) }
        if let value = sampling.grammar { grammar = WireGrammar(value) }
    }
}

extension WireTokens {
    init(_ tokens: [Int32]) { self.tokens = tokens }
}

extension SamplingParameters {
    init(_ wire: WireSampling) throws(EngineError) {
        guard wire.biasTokens.count == wire.biasValues.count else {
            throw EngineError(
                .invalidParameter,
                "logit_bias has \(wire.biasTokens.count) tokens, but \(wire.biasValues.count) values.",
                parameter: "logit_bias")
        }
        self.init()
        temperature = wire.temperature
        topP = wire.topP
        topK = Int(wire.topK)
        minP = wire.minP
        repetitionPenalty = wire.repetitionPenalty
        presencePenalty = wire.presencePenalty
        frequencyPenalty = wire.frequencyPenalty
        seed = wire.hasSeed ? wire.seed : nil
        maxTokens = wire.hasMaxTokens ? Int(wire.maxTokens) : nil
        minTokens = Int(wire.minTokens)
        stopTokens = Set(wire.stopTokens)
        ignoreEndOfText = wire.ignoreEndOfText
        logitBias = Dictionary(zip(wire.biasTokens, wire.biasValues)) { _, last in last }
        logprobs = wire.hasLogprobs ? Int(wire.logprobs) : nil
        promptLogprobs = wire.hasPromptLogprobs ? Int(wire.promptLogprobs) : nil
        badWords = wire.badWords.map(\.tokens)
        allowedTokens = wire.hasAllowedTokens ? wire.allowedTokens.tokens : nil
        grammar = wire.hasGrammar ? try GrammarSource(wire.grammar) : nil
    }
}
