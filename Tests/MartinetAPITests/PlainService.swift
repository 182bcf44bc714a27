import MartinetAPI
import MartinetEngine
import MartinetTemplates
import MartinetTokenizers
import Synchronization

/// A service whose chat template writes one line for each message, `role: content`, and refuses what it is told to.
final class PlainService: InferenceService {
    let maxModelLength = 64
    let refusesSystem: Bool
    let ending: String
    private let seen = Mutex<(messages: [TemplateValue], tools: [TemplateValue]?)>(([], nil))
    var tokenizer: any Tokenizer { ByteTokenizer() }

    /// - Parameter ending: what the template writes at the prompt's end.
    init(refusesSystem: Bool = false, ending: String = "") {
        self.refusesSystem = refusesSystem
        self.ending = ending
    }

    /// What the template saw last.
    var messages: [TemplateValue] { seen.withLock { $0.messages } }
    var tools: [TemplateValue]? { seen.withLock { $0.tools } }
    /// The roles and texts that it saw.
    var lines: [String] {
        messages.map { message in
            guard case .object(let members) = message else { return "" }
            func text(_ key: String) -> String {
                guard case .string(let text)? = members.first(where: { $0.key == key })?.value else { return "" }
                return text
            }
            return "\(text("role")): \(text("content"))"
        }
    }

    func generate(
        _ request: InferenceRequest
    ) throws(EngineError) -> any AsyncSequence<[InferenceEvent], EngineError> & Sendable {
        throw EngineError(.unavailable, "nothing runs here")
    }

    func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]?, addGenerationPrompt: Bool, continueFinalMessage: Bool,
        arguments: [(String, TemplateValue)]
    ) throws(EngineError) -> [Int32] {
        seen.withLock { $0 = (messages, tools) }
        if refusesSystem, lines.contains(where: { $0.hasPrefix("system") }) {
            throw EngineError(.invalidParameter, "no system message, please", parameter: "messages")
        }
        return ("prompt" + ending).utf8.map(Int32.init)
    }

    func statistics() -> EngineStatistics { EngineStatistics() }
    func shutdown(deadline: Duration) async {}
}
