internal import MartinetTemplates

/// Collects the messages of a conversation in the form that chat templates see, for surfaces that give them in pieces.
/// Neighbours of one role become one message.
struct MessageList {
    private struct Message {
        var role: String
        var texts: [String] = []
        var reasoning: [String] = []
        var calls: [TemplateValue] = []
    }

    private var closed: [TemplateValue] = []
    private var open: Message?
    private var functions: [String: String] = [:]

    /// Adds text to the conversation.
    mutating func add(_ text: String, role: String) {
        begin(role)
        open?.texts.append(text)
    }

    /// Adds what the assistant thought.
    mutating func addReasoning(_ text: String) {
        begin("assistant")
        open?.reasoning.append(text)
    }

    /// Adds a call that the assistant made.
    mutating func addCall(id: String, name: String, arguments: TemplateValue) {
        begin("assistant")
        functions[id] = name
        open?.calls.append(
            .object([
                (key: "id", value: .string(id)), (key: "type", value: .string("function")),
                (
                    key: "function",
                    value: .object([(key: "name", value: .string(name)), (key: "arguments", value: arguments)])
                ),
            ]))
    }

    /// Adds what a call brought.
    ///
    /// - Returns: whether the call is known.
    mutating func addResult(_ text: String, callID: String) -> Bool {
        guard let name = functions[callID] else { return false }
        close()
        closed.append(
            .object([
                (key: "role", value: .string("tool")), (key: "content", value: .string(text)),
                (key: "name", value: .string(name)), (key: "tool_call_id", value: .string(callID)),
            ]))
        return true
    }

    /// Makes a message of a role the last one.
    private mutating func begin(_ role: String) {
        guard open?.role != role else { return }
        close()
        open = Message(role: role)
    }

    /// Whether the last message is the assistant's.
    var endsWithAssistant: Bool { open?.role == "assistant" }
    /// Whether the last message holds calls.
    var endsWithCalls: Bool { open?.calls.isEmpty == false }

    /// The messages.
    mutating func finish() -> [TemplateValue] {
        close()
        return closed
    }

    private mutating func close() {
        guard let message = open else { return }
        open = nil
        var members: [(key: String, value: TemplateValue)] = [
            (key: "role", value: .string(message.role)),
            (key: "content", value: .string(message.texts.joined(separator: "\n"))),
        ]
        if !message.reasoning.isEmpty {
            members.append((key: "reasoning_content", value: .string(message.reasoning.joined(separator: "\n"))))
        }
        if !message.calls.isEmpty { members.append((key: "tool_calls", value: .array(message.calls))) }
        closed.append(.object(members))
    }
}
