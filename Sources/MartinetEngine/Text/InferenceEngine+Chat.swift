internal import Foundation
public import MartinetTemplates
internal import MartinetModels
internal import MartinetTokenizers

extension InferenceEngine {
    /// Renders a conversation with the model's chat template, as tokens.
    ///
    /// Control tokens come from the template alone: their spellings inside messages and tools stay ordinary text.
    ///
    /// - Parameters:
    ///   - messages: objects with `role`, `content` and what else the template knows.
    ///   - tools: tool definitions, for templates that take them.
    ///   - addGenerationPrompt: ends with the opening of the assistant's turn.
    ///   - continueFinalMessage: leaves the last message open, so that the model goes on with it.
    ///   - arguments: further variables of the template, such as `enable_thinking`.
    /// - Throws: ``EngineError`` where the model has no template or the template refuses the messages.
    public func chatPrompt(
        messages: [TemplateValue], tools: [TemplateValue]? = nil, addGenerationPrompt: Bool = true,
        continueFinalMessage: Bool = false, arguments: [(String, TemplateValue)] = []
    ) throws(EngineError) -> [Int32] {
        guard let template = model.chatTemplate else {
            let reason = model.chatTemplateError.map { "a chat template that cannot be used: \($0)" }
            throw EngineError(
                .invalidParameter,
                "The model \(model.name) has \(reason ?? "no chat template"). Use /v1/completions instead.",
                parameter: "messages")
        }
        let tokenizer = model.tokenizer
        func name(_ token: Int32?) -> TemplateValue {
            .string(token.flatMap { tokenizer.name(of: $0) } ?? "")
        }
        var context: [String: TemplateValue] = [
            "bos_token": name(tokenizer.bosToken), "eos_token": name(tokenizer.eosToken),
        ]
        for (key, value) in arguments { context[key] = tokenizer.guarded(value) }
        var guardedMessages = messages.map { tokenizer.guarded($0) }
        // A mark at the end of the last message shows where its turn would close.
        let mark = [0xFDD2, 0xFDD3, 0xFDD2].compactMap { Unicode.Scalar($0 as UInt32) }.map(String.init).joined()
        if continueFinalMessage {
            guard case .object(var last)? = guardedMessages.last,
                let content = last.firstIndex(where: { $0.key == "content" }),
                case .string(let text) = last[content].value, !addGenerationPrompt
            else {
                throw EngineError(
                    .invalidParameter,
                    "continue_final_message needs a last message with text content, and add_generation_prompt false.",
                    parameter: "continue_final_message")
            }
            last[content].value = .string(text + mark)
            guardedMessages[guardedMessages.count - 1] = .object(last)
        }
        context["messages"] = .array(guardedMessages)
        context["tools"] = tools.map { .array($0.map { tokenizer.guarded($0) }) } ?? .null
        context["add_generation_prompt"] = .bool(addGenerationPrompt)
        var text: String
        do {
            text = try template.render(context)
        } catch {
            throw EngineError(
                .invalidParameter, "The model's chat template refuses these messages: \(error)", parameter: "messages")
        }
        if continueFinalMessage, let end = text.range(of: mark, options: [.backwards, .literal]) {
            text = String(text[..<end.lowerBound])
        }
        // Long before tokenising it is clear that a text of this size cannot fit: no token spells more on average.
        guard text.utf8.count / 256 <= maxModelLength else {
            throw EngineError(
                .contextLengthExceeded,
                "This model's maximum context length is \(maxModelLength) tokens, but `messages` have "
                    + "\(text.utf8.count) bytes. Shorten them.", parameter: "messages")
        }
        return tokenizer.encode(text, specials: .parse)
    }
}

extension Tokenizer {
    /// The same value, its strings kept from becoming control tokens.
    fileprivate func guarded(_ value: TemplateValue) -> TemplateValue {
        switch value {
        case .string(let text): .string(guardControlTokens(in: text))
        case .array(let values): .array(values.map { guarded($0) })
        case .object(let members): .object(members.map { ($0.key, guarded($0.value)) })
        default: value
        }
    }
}

extension TemplateValue {
    /// A chat message of plain text.
    public static func message(role: String, content: String) -> TemplateValue {
        .object([("role", .string(role)), ("content", .string(content))])
    }
}
