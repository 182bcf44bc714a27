import MartinetAPI
import MartinetEngine
import MartinetTemplates
import MartinetTokenizers
import Synchronization

/// A service that renders conversations as text which tests can read, and generates nothing.
final class ConversationService: InferenceService {
    let maxModelLength: Int
    var tokenizer: any Tokenizer { ByteTokenizer() }
    private let state = Mutex<(rendered: String, arguments: [String: TemplateValue])>(("", [:]))

    init(maxModelLength: Int = 4096) { self.maxModelLength = maxModelLength }

    /// The conversation that came last: a line for each message, `role: content`, with what else it holds.
    var rendered: String { state.withLock(\.rendered) }
    var arguments: [String: TemplateValue] { state.withLock(\.arguments) }

    func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable {
        throw EngineError(.unavailable, "This service generates nothing.")
    }

    func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32] {
        var lines = (tools ?? []).map { "tool \($0["function"]["name"].text)" }
        for message in messages {
            var line = "\(message["role"].text): \(message["content"].text)"
            let reasoning = message["reasoning_content"].text
            if !reasoning.isEmpty { line += " (\(reasoning))" }
            if case .array(let calls) = message["tool_calls"] {
                for call in calls {
                    let arguments = call["function"]["arguments"]
                    line += " [\(call["id"].text) \(call["function"]["name"].text) \(arguments.keys)]"
                }
            }
            let id = message["tool_call_id"].text
            if !id.isEmpty { line += " <\(id) \(message["name"].text)>" }
            lines.append(line)
        }
        if addGenerationPrompt { lines.append("assistant:") }
        if continueFinalMessage { lines.append("(goes on)") }
        let text = lines.joined(separator: "\n")
        state.withLock { state in
            state.rendered = text
            state.arguments = Dictionary(arguments, uniquingKeysWith: { $1 })
        }
        return text.utf8.map(Int32.init)
    }

    func statistics() -> EngineStatistics { EngineStatistics() }
    func shutdown(deadline: Duration) async {}
}

extension TemplateValue {
    subscript(key: String) -> TemplateValue {
        guard case .object(let members) = self else { return .null }
        return members.first { $0.key == key }?.value ?? .null
    }
    var text: String {
        guard case .string(let text) = self else { return "" }
        return text
    }
    /// The keys of an object; a string as it is.
    var keys: String {
        guard case .object(let members) = self else { return text }
        return members.map(\.key).joined(separator: ",")
    }
}

extension ServedModel {
    /// A model that thinks and calls functions.
    static func talking(length: Int = 4096) -> ServedModel {
        ServedModel(
            names: ["tiny"], root: "tiny", created: 1, maxModelLength: length, tokenizer: ByteTokenizer(),
            turnFormat: TurnFormat(tools: .hermes, reasoning: .think),
            templateVariables: ["tools", "reasoning_effort", "enable_thinking"])
    }
}

/// What an engine says of a turn: its text in pieces of a few characters, each one token.
func turnEvents(_ text: String, reason: FinishReason = .stop, stopText: String? = nil) -> [InferenceEvent] {
    var events: [InferenceEvent] = [.prompt(InferencePrompt(tokenCount: 10, cachedTokenCount: 4))]
    var rest = text[...]
    while !rest.isEmpty {
        let piece = rest.prefix(3)
        rest = rest.dropFirst(3)
        events.append(.output(InferenceDelta(index: 0, text: String(piece), tokens: [1])))
    }
    return events + [.finished(index: 0, reason: reason, stopText: stopText)]
}

/// The events as one result.
func turnResult(_ events: [InferenceEvent]) -> InferenceResult {
    var result = InferenceResult(promptTokenCount: 10, sampleCount: 1)
    for event in events { result.add(event) }
    return result
}
