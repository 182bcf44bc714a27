public import MartinetEngine
public import MartinetJSON
internal import MartinetTemplates

/// `POST /v1/responses`, in OpenAI's shape.
public struct ResponsesRequest: Sendable {
    /// Whether the answer is a stream of events.
    public let stream: Bool
    /// Whether the answer is to be kept.
    public let isStored: Bool
    /// The response that this one goes on from.
    public let previousID: String?
    /// What answers say of the request, in order.
    let echo: [(key: String, value: JSONValue)]
    /// Whether answers carry log probabilities.
    let logprobs: Bool
    /// The request's own items.
    let input: [JSONValue]
    private let instructions: String?
    private let tools: ResponseTools
    private let fields: SamplingFields
    private let arguments: [(String, TemplateValue)]
    private let truncates: Bool

    /// Decodes a request.
    ///
    /// - Parameter stores: whether there is a store; answers are kept in it unless the request says otherwise.
    public init(_ body: JSONBody, model: ServedModel, stores: Bool) throws(APIError) {
        var reader = try body.reader()
        try model.check(&reader)
        try Self.refuse(&reader)
        stream = try reader.bool("stream") ?? false
        if var options = try reader.object("stream_options") { _ = try options.bool("include_obfuscation") }
        let store = try reader.bool("store")
        if store == true, !stores {
            throw .unsupported("store", "`store` is not supported: this server keeps no answers without --data-dir.")
        }
        isStored = store ?? stores
        previousID = try reader.string("previous_response_id", maximum: 256)
        if previousID != nil, !stores {
            throw .unsupported(
                "previous_response_id",
                "`previous_response_id` is not supported: this server keeps no answers without --data-dir. Send the whole "
                    + "conversation.")
        }
        instructions = try reader.string("instructions")
        input = try Self.input(&reader)
        tools = try ResponseTools(&reader)
        var answer = ResponseShape()
        try answer.take(&reader)
        truncates = answer.truncates
        logprobs = answer.logprobs
        var settings = Conversation(messages: [])
        if let effort = answer.effort {
            try settings.setReasoningEffort(effort, field: "reasoning.effort", model: model)
        }
        arguments = settings.arguments
        var base = SamplingFields.Base.openAI(model, maxTokens: nil)
        base.temperature = try reader.number("temperature", in: 0...2) ?? base.temperature
        base.maxTokensFields = ["max_output_tokens"]
        var fields = try SamplingFields(&reader, model: model, base: base)
        guard fields.sampleCount == 1 else { throw .unsupported("n", "`n` must be 1: a response has one answer.") }
        if fields.sampling.promptLogprobs != nil {
            throw .unsupported("prompt_logprobs", "`prompt_logprobs` has no place in a response.")
        }
        if logprobs { fields.sampling.logprobs = answer.topLogprobs }
        fields.constraint = try OutputConstraint.one(answer.constraint, StructuredOutput.take(&reader))
        // Hints to OpenAI's own servers.
        for name in [
            "access_programs", "background_options", "context_management", "image", "prompt_cache_options",
            "prompt_cache_retention",
        ] { _ = reader.take(name) }
        try reader.end()
        self.fields = fields
        var echo: [(key: String, value: JSONValue)] = [
            ("instructions", instructions.map(JSONValue.string) ?? .null),
            (
                "max_output_tokens",
                fields.hasExplicitMaxTokens ? fields.sampling.maxTokens.map(JSONValue.integer) ?? .null : .null
            ),
            ("parallel_tool_calls", .bool(tools.allowsParallelCalls)),
            ("service_tier", .string(fields.serviceTier.rawValue)),
            ("previous_response_id", previousID.map(JSONValue.string) ?? .null), ("store", .bool(isStored)),
            ("temperature", .double(fields.sampling.temperature)), ("tool_choice", tools.givenChoice),
            ("tools", .array(tools.given)), ("top_p", .double(fields.sampling.topP)),
        ]
        echo += answer.echo
        self.echo = echo
        // A fault in the input is found before anything is looked up; calls may be in earlier responses.
        if previousID == nil { _ = try messages(after: [], in: reader) }
    }

    /// What this server does not do, rather than pretend to.
    private static func refuse(_ fields: inout FieldReader) throws(APIError) {
        if try fields.bool("background") == true {
            throw .unsupported("background", "`background` is not supported: answers come with the request.")
        }
        for name in ["conversation", "prompt", "moderation"] where fields.has(name) {
            throw .unsupported(name, "`\(name)` is not supported: this server has none.")
        }
    }

    /// `input` as items.
    private static func input(_ fields: inout FieldReader) throws(APIError) -> [JSONValue] {
        switch fields.take("input") {
        case .string(let text)?:
            return [.object([("type", .string("message")), ("role", .string("user")), ("content", .string(text))])]
        case .array(let items)?:
            guard !items.isEmpty else { throw .invalid("input", "`input` must hold at least one item.") }
            guard items.count <= ResponseItems.maximumCount else {
                throw .invalid(
                    "input", "`input` must have at most \(ResponseItems.maximumCount) elements, got \(items.count).",
                    code: "array_above_max_length")
            }
            return items
        case nil:
            throw .invalid(
                "input", "`input` is required: a string or an array of items.", code: "missing_required_parameter")
        case let value?: throw fields.wrong("input", "a string or an array of items", got: value)
        }
    }

    private func messages(
        after earlier: [JSONValue], in reader: FieldReader? = nil
    ) throws(APIError) -> [TemplateValue] {
        var items = ResponseItems(instructions: instructions)
        for item in earlier { try items.add(item, path: "previous_response_id") }
        for (index, item) in input.enumerated() { try items.add(item, path: "input[\(index)]", in: reader) }
        return items.finish()
    }

    /// The generation that the request asks for, and the engine's request for it.
    ///
    /// - Parameter earlier: the items of the responses that it goes on from, oldest first.
    public func generation(
        id: String, after earlier: [JSONValue], model: ServedModel, service: any InferenceService
    ) throws(APIError) -> (ChatGeneration, InferenceRequest) {
        var conversation = Conversation(messages: try messages(after: earlier))
        conversation.tools = tools.definitions
        conversation.toolChoice = tools.choice
        conversation.allowsParallelCalls = tools.allowsParallelCalls
        conversation.parametersField = "parameters"
        conversation.arguments = arguments
        let generation = ChatGeneration(conversation, fields)
        do {
            return (generation, try generation.request(id: id, model: model, service: service, promptField: "input"))
        } catch {
            guard truncates, error.code == "context_length_exceeded" else { throw error }
            return try truncated(generation, id: id, model: model, service: service, because: error)
        }
    }

    /// The same without the oldest turns: as few as have to go. A turn begins with the user, so that no call loses its
    /// output; what the system says stays.
    private func truncated(
        _ generation: ChatGeneration, id: String, model: ServedModel, service: any InferenceService,
        because failure: APIError
    ) throws(APIError) -> (ChatGeneration, InferenceRequest) {
        let messages = generation.conversation.messages
        let head = messages.prefix { $0.role == "system" }
        let starts = messages.indices.filter { $0 > head.count && messages[$0].role == "user" }
        var found: (ChatGeneration, InferenceRequest)?
        var range = starts.startIndex..<starts.endIndex
        while !range.isEmpty {
            let middle = (range.lowerBound + range.upperBound) / 2
            var shorter = generation
            shorter.conversation.messages = Array(head + messages[starts[middle]...])
            do {
                let request = try shorter.request(id: id, model: model, service: service, promptField: "input")
                found = (shorter, request)
                range = range.lowerBound..<middle
            } catch {
                guard error.code == failure.code else { throw error }
                range = middle + 1..<range.upperBound
            }
        }
        guard let found else { throw failure }
        return found
    }
}

extension TemplateValue {
    /// A message's role.
    fileprivate var role: String? {
        guard case .object(let members) = self,
            case .string(let role)? = members.first(where: { $0.key == "role" })?.value
        else { return nil }
        return role
    }
}
