internal import MartinetModels
public import MartinetEngine
public import MartinetTemplates
public import MartinetTokenizers

/// The engine in this process.
public struct EngineService: InferenceService {
    private let engine: InferenceEngine

    /// Serves an engine.
    public init(_ engine: InferenceEngine) {
        self.engine = engine
    }

    /// The longest sequence, prompt and output together.
    public var maxModelLength: Int { engine.maxModelLength }
    /// The model's tokenizer.
    public var tokenizer: any Tokenizer { engine.model.tokenizer }

    /// Takes a request.
    public func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable {
        try engine.generate(request)
    }

    /// Renders a conversation with the model's chat template.
    public func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32] {
        try engine.chatPrompt(
            messages: messages, tools: tools, addGenerationPrompt: addGenerationPrompt,
            continueFinalMessage: continueFinalMessage, arguments: arguments)
    }

    /// Figures of this moment.
    public func statistics() -> EngineStatistics { engine.statistics() }

    /// Ends the engine.
    public func shutdown(deadline: Duration) async { await engine.shutdown(deadline: deadline) }
}
