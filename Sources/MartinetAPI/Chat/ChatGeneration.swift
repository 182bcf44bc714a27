public import MartinetEngine
internal import MartinetGrammars
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
        let answer = try grammar(model)
        var request = try model.request(
            id: id, prompt: conversation.encode(service, model: model), fields: fields, promptField: promptField)
        request.sampling.grammar = answer.map { behindReasoning($0, prompt: request.prompt, model: model) }
        // Markers that are control tokens must reach the parser.
        request.shownTokens = Set(
            format(model).markers.compactMap(model.tokenizer.token(named:)).filter(model.tokenizer.isControl))
        if let callEnd = callEnd(model) { request.stop.append(callEnd) }
        return request
    }

    /// A reader of what the request brings.
    public func reader(for request: InferenceRequest, model: ServedModel) -> TurnReader {
        let format = format(model)
        let parser = TurnParser(
            format: format, functions: Set(conversation.shownTools.map(\.name)),
            reasoningIsOpen: reasoning(at: request.prompt, model) == .open)
        return TurnReader(
            parser, format: format, singleCall: !conversation.allowsParallelCalls, callEnd: callEnd(model),
            sampleCount: request.sampleCount)
    }

    /// How this turn may be written: without tools there are no calls to look for.
    private func format(_ model: ServedModel) -> TurnFormat {
        var format = model.turnFormat
        if conversation.shownTools.isEmpty { format.tools = nil }
        return format
    }

    /// Where at most one call may come and the format closes each, that ends the turn.
    private func callEnd(_ model: ServedModel) -> String? {
        let end = "</tool_call>"
        guard !conversation.allowsParallelCalls, format(model).tools == .hermes, !fields.stop.contains(end) else {
            return nil
        }
        return end
    }

    // MARK: Grammar

    /// What the answer must match: calls where they are required, the format that was asked for, or either.
    private func grammar(_ model: ServedModel) throws(APIError) -> GrammarSource? {
        let tools = conversation.shownTools
        guard !tools.isEmpty else { return fields.constraint?.grammar }
        let forced: [ToolDefinition]?
        switch conversation.toolChoice {
        case .auto, .none: forced = nil
        case .required: forced = tools
        case .named(let name):
            forced = tools.filter { $0.name == name }
            guard forced?.isEmpty == false else {
                throw .invalid(
                    "tool_choice", "`tool_choice` names the function `\(name)`, which `tools` does not have.")
            }
        }
        guard let format = model.turnFormat.tools else {
            guard forced == nil else {
                throw .unsupported("tool_choice", "`tool_choice` must be `auto` or `none`: calls are not parsed here.")
            }
            return fields.constraint?.grammar
        }
        let notation = CallNotation(format)
        let isParallel = conversation.allowsParallelCalls
        if let forced {
            if let constraint = fields.constraint {
                throw .invalid(
                    constraint.parameter,
                    "`\(constraint.parameter)` cannot be kept where `tool_choice` requires a call; leave one out.")
            }
            return notation.grammar(try arguments(forced, strict: true), isParallel: isParallel)
        }
        if let constraint = fields.constraint {
            let calls = notation.grammar(try arguments(tools, strict: false), isParallel: isParallel)
            return .choice([constraint.grammar, calls])
        }
        // Free text, but calls keep their schemas.
        guard tools.contains(where: \.strict), let marker = notation.marker else { return nil }
        let calls = notation.grammar(
            try arguments(tools, strict: false), isParallel: isParallel, isOpened: true)
        return .choice([.regex(Self.texts(without: marker)), .sequence([.anyText(before: marker), calls])])
    }

    /// Functions with what their arguments must match.
    ///
    /// - Parameter strict: keeps all schemas, not only those of functions that ask for it.
    private func arguments(
        _ tools: [ToolDefinition], strict: Bool
    ) throws(APIError) -> [(tool: ToolDefinition, arguments: GrammarSource)] {
        var functions: [(tool: ToolDefinition, arguments: GrammarSource)] = []
        for tool in tools {
            guard let parameters = tool.parameters else {
                functions.append((tool: tool, arguments: .literal("{}")))
                continue
            }
            guard strict || tool.strict else {
                functions.append((tool: tool, arguments: .jsonObject(form: .canonical)))
                continue
            }
            let index = conversation.tools.firstIndex { $0.name == tool.name } ?? 0
            let constraint = OutputConstraint(
                .jsonSchema(parameters.text, form: .canonical),
                parameter: "tools[\(index)].\(conversation.parametersField)")
            try constraint.check()
            functions.append((tool: tool, arguments: constraint.grammar))
        }
        return functions
    }

    /// An expression for all texts that do not hold a marker. The marker's first character must not occur again in it.
    static func texts(without marker: String) -> String {
        let characters = marker.map { "\\^$.|?*+()[]{}/".contains($0) ? "\\\($0)" : String($0) }
        let first = characters[0]
        // Behind a first character: how far the marker goes on, and what then breaks it off.
        var ahead = ""
        var again: [String] = []
        var broken: [String] = []
        for next in characters.dropFirst() {
            again.append(ahead + first)
            broken.append("\(ahead)[^\(first)\(next)]")
            ahead += next
        }
        let ends = characters.dropFirst().dropLast().reduce(into: [""]) { $0.append(($0.last ?? "") + $1) }
        func any(_ texts: [String]) -> String { "(?:\(texts.joined(separator: "|")))" }
        let run = "\(first)\(any(again))*"
        return "(?:[^\(first)]|\(run)\(any(broken)))*(?:\(run)\(any(ends)))?"
    }

    // MARK: Reasoning

    private enum Reasoning { case open, closed, none }

    /// What a prompt's end says about reasoning.
    private func reasoning(at prompt: [Int32], _ model: ServedModel) -> Reasoning {
        guard model.turnFormat.reasoning != nil else { return .none }
        let tail = model.tokenizer.decode(prompt.suffix(16), includeSpecial: true)
        guard let end = tail.lastIndex(where: { !$0.isWhitespace }) else { return .none }
        if tail[...end].hasSuffix("</think>") { return .closed }
        return tail[...end].hasSuffix("<think>") ? .open : .none
    }

    /// The model may think before it keeps a grammar.
    private func behindReasoning(_ grammar: GrammarSource, prompt: [Int32], model: ServedModel) -> GrammarSource {
        guard model.turnFormat.reasoning != nil else { return grammar }
        let thinking: [GrammarSource] = [
            .anyText(before: "</think>"), .regex("[ \\n]{0,4}"), grammar,
        ]
        switch reasoning(at: prompt, model) {
        case .closed: return grammar
        case .open: return .sequence(thinking)
        case .none: return .choice([.sequence([.literal("<think>")] + thinking), grammar])
        }
    }
}
