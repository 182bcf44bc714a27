public import MartinetEngine
public import MartinetTemplates
public import MartinetTokenizers

/// What every surface talks to: the engine in this process today, a fleet of workers later, a scripted one in tests.
public protocol InferenceService: Sendable {
    /// The longest sequence, prompt and output together.
    var maxModelLength: Int { get }
    /// Text to tokens and back.
    var tokenizer: any Tokenizer { get }

    /// Takes a request; its events come as they are ready. Cancelling the reading task cancels the request.
    func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable

    /// Renders a conversation with the model's chat template, as tokens.
    func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32]

    /// Figures of this moment.
    func statistics() -> EngineStatistics

    /// Takes no more requests, lets those here end until the deadline, aborts the rest.
    func shutdown(deadline: Duration) async
}
