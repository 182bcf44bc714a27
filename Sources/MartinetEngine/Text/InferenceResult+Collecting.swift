extension InferenceResult {
    /// An answer that nothing was added to yet, for those who collect events themselves.
    package init(promptTokenCount: Int, sampleCount: Int) {
        self.init(
            prompt: InferencePrompt(tokenCount: promptTokenCount, cachedTokenCount: 0, logprobs: nil),
            outputs: (0..<max(1, sampleCount)).map { Output(index: $0) })
    }
}

extension InferencePrompt {
    /// Facts as a service outside this module reports them.
    package init(tokenCount: Int, cachedTokenCount: Int) {
        self.init(tokenCount: tokenCount, cachedTokenCount: cachedTokenCount, logprobs: nil)
    }
}

extension InferenceDelta {
    /// Output as a service outside this module reports it.
    package init(index: Int, text: String, tokens: [Int32]) {
        self.init(index: index, text: text, tokens: tokens, logprobs: [])
    }
}
