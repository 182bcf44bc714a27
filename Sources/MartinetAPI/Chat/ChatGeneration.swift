public import MartinetEngine
internal import MartinetTemplates
internal import MartinetTokenizers

/// A conversation and how to go on with it: what every surface that chats decodes to.
///
/// ``SamplingFields/constraint`` is what the answer must match, such as a `response_format`.
public struct ChatGeneration: Sendable {
    /// What the prompt is made of.
    public var conversation: Conversation
    /// How to generate.
    public var fields: SamplingFields

    /// Describes a generation.
    public init(_ conversation: Conversation, _ fields: SamplingFields) {
        self.conversation = conversation
        self.fields = fields
    }

    /// The engine's request.
    ///
    /// - Parameter promptField: the field that errors name where the conversation does not fit.
    public func request(
        id: String, model: ServedModel, service: any InferenceService, promptField: String = "messages"
    ) throws(APIError) -> InferenceRequest {
        try model.request(
            id: id, prompt: conversation.encode(service), fields: fields, promptField: promptField)
    }

    /// A reader of what the request brings.
    public func reader(for request: InferenceRequest, model: ServedModel) -> TurnReader {
        let format = format(model)
        return TurnReader(
            TurnParser(format: format), format: format, singleCall: !conversation.allowsParallelCalls, callEnd: nil,
            sampleCount: request.sampleCount)
    }

    /// How this turn may be written: without tools there are no calls to look for.
    private func format(_ model: ServedModel) -> TurnFormat {
        var format = model.turnFormat
        if conversation.tools.isEmpty || conversation.toolChoice == .none { format.tools = nil }
        return format
    }
}
