internal import MartinetJSON
internal import MartinetTemplates

/// Conversations with tools for templates that know none: everything is said in plain messages.
extension Conversation {
    static func role(_ message: TemplateValue?) -> String? { message?["role"]?.text }

    /// The same messages with an explanation in the first system message, or in the first message of a role.
    static func explaining(
        _ explanation: String, in messages: [TemplateValue], to role: String
    ) -> [TemplateValue] {
        var messages = messages
        if let index = messages.firstIndex(where: { Self.role($0) == role }), role != "system" || index == 0 {
            let content = messages[index]["content"]?.text ?? ""
            // Before a question, behind what a system message says.
            let text = role == "user" ? "\(explanation)\n\n\(content)" : "\(content)\n\n\(explanation)"
            messages[index] = messages[index].setting("content", text)
        } else {
            messages.insert(
                .object([(key: "role", value: .string(role)), (key: "content", value: .string(explanation))]), at: 0)
        }
        return messages
    }

    /// Ids of calls as Mistral's templates want them: nine letters and digits.
    static func withShortIDs(_ message: TemplateValue) -> TemplateValue {
        guard case .object(var members) = message else { return message }
        for index in members.indices {
            switch (members[index].key, members[index].value) {
            case ("tool_call_id", .string(let id)): members[index].value = .string(shortID(id))
            case ("tool_calls", .array(let calls)):
                members[index].value = .array(
                    calls.map { call in call["id"]?.text.map { call.setting("id", shortID($0)) } ?? call })
            default: continue
            }
        }
        return .object(members)
    }

    private static func shortID(_ id: String) -> String {
        func isPlain(_ byte: UInt8) -> Bool {
            byte < 0x80 && Character(Unicode.Scalar(byte)).isLetter || (0x30...0x39).contains(byte)
        }
        guard id.utf8.count != 9 || !id.utf8.allSatisfy(isPlain) else { return id }
        // FNV-1a: the same id becomes the same everywhere.
        let hash = id.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let text = String(hash % 101_559_956_668_416, radix: 36)
        return String(repeating: "0", count: max(0, 9 - text.count)) + text
    }
}

extension CallNotation {
    /// The same messages in plain roles: past calls as the model would have written them, results as the user's words.
    func withoutCalls(_ messages: [TemplateValue]) -> [TemplateValue] {
        var plain: [TemplateValue] = []
        var follows = false
        for message in messages {
            var message = message
            var isResult = false
            if case .array(let calls)? = message["tool_calls"] {
                let texts = calls.map { call in
                    (
                        name: call["function"]?["name"]?.text ?? "",
                        arguments: call["function"]?["arguments"].map { JSONValue($0) } ?? .object([])
                    )
                }
                let content = message["content"]?.text ?? ""
                message = .object([
                    (key: "role", value: .string("assistant")),
                    (key: "content", value: .string(content + (content.isEmpty ? "" : "\n") + text(texts))),
                ])
            } else if let role = Conversation.role(message), role == "tool" || role == "function" {
                isResult = true
                let result = message["content"]?.text ?? ""
                message = .object([
                    (key: "role", value: .string("user")),
                    (key: "content", value: .string("<tool_response>\n\(result)\n</tool_response>")),
                ])
            }
            // Templates that want turns to alternate take results and what the user adds as one message.
            if follows, Conversation.role(message) == "user", let last = plain.last {
                let joined = (last["content"]?.text ?? "") + "\n" + (message["content"]?.text ?? "")
                plain[plain.count - 1] = last.setting("content", joined)
            } else {
                plain.append(message)
                follows = isResult
            }
        }
        return plain
    }
}

extension TemplateValue {
    /// The member of an object by its key.
    subscript(key: String) -> TemplateValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    /// The text of a string.
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The same object with another text as a member.
    func setting(_ key: String, _ text: String) -> TemplateValue {
        guard case .object(var members) = self else { return self }
        members.removeAll { $0.key == key }
        members.append((key: key, value: .string(text)))
        return .object(members)
    }
}
