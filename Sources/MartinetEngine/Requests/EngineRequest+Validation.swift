extension EngineRequest {
    /// Checks every field against its range and the engine's limits.
    package func validate(_ limits: SequenceLimits) throws(EngineError) {
        guard !prompt.isEmpty else {
            throw EngineError(.invalidParameter, "The prompt is empty: give at least one token.", parameter: "prompt")
        }
        if let token = prompt.first(where: { $0 < 0 || Int($0) >= limits.vocabularySize }) {
            throw EngineError(
                .invalidParameter,
                "Token id \(token) is not in the vocabulary: ids are 0 to \(limits.vocabularySize - 1).",
                parameter: "prompt")
        }
        guard sampleCount >= 1, sampleCount <= 128, sampleIndex >= 0, sampleIndex <= 1 << 20 else {
            throw EngineError(.invalidParameter, "n must be from 1 to 128, but is \(sampleCount).", parameter: "n")
        }
        let room = min(sampling.maxTokens ?? .max, max(0, limits.maxModelLength - prompt.count))
        guard emitted.isEmpty || (sampleCount == 1 && emitted.count < room) else {
            throw EngineError(
                .invalidParameter,
                "A sequence of \(emitted.count) generated tokens cannot go on: it may have \(room), in one sample.",
                parameter: "emitted")
        }
        if let token = emitted.first(where: { $0 < 0 || Int($0) >= limits.vocabularySize }) {
            throw EngineError(
                .invalidParameter, "The generated token id \(token) is not in the vocabulary.", parameter: "emitted")
        }
        guard !embeds || (sampleCount == 1 && emitted.isEmpty) else {
            throw EngineError(.invalidParameter, "An embedding has one sample and no output.", parameter: "n")
        }
        // An embedding leaves no room for output.
        guard prompt.count < limits.maxModelLength + (embeds ? 1 : 0) else {
            throw EngineError(
                .contextLengthExceeded,
                "The prompt has \(prompt.count) tokens, but this model's maximum context length is "
                    + "\(limits.maxModelLength) tokens, prompt and output together. Shorten the prompt.",
                parameter: "prompt")
        }
        try sampling.validate(vocabularySize: limits.vocabularySize)
    }
}

extension SamplingParameters {
    /// Checks every field against its range.
    ///
    /// - Throws: ``EngineError`` that names the field in the API's spelling.
    public func validate(vocabularySize: Int) throws(EngineError) {
        func check(_ holds: Bool, _ parameter: String, _ range: String, _ value: Any) throws(EngineError) {
            guard holds else {
                throw EngineError(
                    .invalidParameter, "\(parameter) must be \(range), but is \(value).", parameter: parameter)
            }
        }
        try check((0...100).contains(temperature), "temperature", "from 0 to 100", temperature)
        try check(topP > 0 && topP <= 1, "top_p", "above 0 and at most 1", topP)
        try check(topK >= -1, "top_k", "-1 (off), or at least 1", topK)
        try check((0...1).contains(minP), "min_p", "from 0 to 1", minP)
        try check(
            repetitionPenalty > 0 && repetitionPenalty <= 1000, "repetition_penalty", "above 0 and at most 1000",
            repetitionPenalty)
        try check((-2...2).contains(presencePenalty), "presence_penalty", "from -2 to 2", presencePenalty)
        try check((-2...2).contains(frequencyPenalty), "frequency_penalty", "from -2 to 2", frequencyPenalty)
        if let maxTokens { try check(maxTokens >= 1, "max_tokens", "at least 1", maxTokens) }
        try check(minTokens >= 0, "min_tokens", "at least 0", minTokens)
        if let maxTokens { try check(minTokens <= maxTokens, "min_tokens", "at most max_tokens", minTokens) }
        if let logprobs { try check((0...20).contains(logprobs), "logprobs", "from 0 to 20", logprobs) }
        if let promptLogprobs {
            try check((0...20).contains(promptLogprobs), "prompt_logprobs", "from 0 to 20", promptLogprobs)
        }
        let ids = 0..<vocabularySize
        func checkTokens(_ tokens: some Sequence<Int32>, _ parameter: String) throws(EngineError) {
            if let token = tokens.first(where: { !ids.contains(Int($0)) }) {
                throw EngineError(
                    .invalidParameter,
                    "\(parameter) names token id \(token), but ids are 0 to \(vocabularySize - 1).",
                    parameter: parameter)
            }
        }
        try check(stopTokens.count <= 128, "stop_token_ids", "at most 128 ids", stopTokens.count)
        try checkTokens(stopTokens, "stop_token_ids")
        try checkTokens(logitBias.keys, "logit_bias")
        if let bias = logitBias.values.first(where: { !(-100...100).contains($0) }) {
            try check(false, "logit_bias", "from -100 to 100", bias)
        }
        try check(badWords.count <= 1024, "bad_words", "at most 1024 words", badWords.count)
        try check(badWords.allSatisfy { !$0.isEmpty }, "bad_words", "words of at least one token", "empty")
        try checkTokens(badWords.joined(), "bad_words")
        if let allowedTokens {
            try check(!allowedTokens.isEmpty, "allowed_token_ids", "a list of at least one id", "empty")
            try checkTokens(allowedTokens, "allowed_token_ids")
        }
        try grammar?.validate()
    }
}
