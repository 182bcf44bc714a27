internal import MartinetEngine
internal import MartinetJSON
internal import MartinetTokenizers

/// An item of a response's output.
struct ResponseOutput: Sendable {
    enum Kind: Sendable {
        case reasoning
        case message
        case call(id: String, name: String)
    }

    /// How far an item is.
    enum Status: String {
        case inProgress = "in_progress"
        case completed, incomplete
    }

    var id: String
    var kind: Kind
    /// The text, or a call's arguments.
    var text = ""
    var logprobs: [TokenLogprobs] = []
    /// Where the turn was cut off.
    var isCut = false

    /// Writes the item.
    ///
    /// - Parameter isOpen: leaves out what is still to come.
    func write(to writer: inout JSONWriter, isOpen: Bool = false, tokenizer: any Tokenizer) {
        let status = isOpen ? Status.inProgress : isCut ? .incomplete : .completed
        writer.object { writer in
            writer.field("id", id)
            switch kind {
            case .reasoning:
                writer.field("type", "reasoning")
                writer.field("summary") { $0.array { _ in } }
                writer.field("content") { writer in
                    writer.array { if !isOpen { writePart(to: &$0, tokenizer: tokenizer) } }
                }
                writer.field("encrypted_content", nil as String?)
            case .message:
                writer.field("type", "message")
                writer.field("role", "assistant")
                writer.field("content") { writer in
                    writer.array { if !isOpen { writePart(to: &$0, tokenizer: tokenizer) } }
                }
            case .call(let callID, let name):
                writer.field("type", "function_call")
                writer.field("call_id", callID)
                writer.field("name", name)
                writer.field("arguments", isOpen ? "" : text)
            }
            writer.field("status", status.rawValue)
        }
    }

    /// Writes the one part of a message's or reasoning's content.
    func writePart(to writer: inout JSONWriter, isOpen: Bool = false, tokenizer: any Tokenizer) {
        writer.object { writer in
            if case .reasoning = kind {
                writer.field("type", "reasoning_text")
                writer.field("text", isOpen ? "" : text)
            } else {
                writer.field("type", "output_text")
                writer.field("text", isOpen ? "" : text)
                writer.field("annotations") { $0.array { _ in } }
                writer.field("logprobs") { Logprobs.writeTokens(isOpen ? [] : logprobs, tokenizer, to: &$0) }
            }
        }
    }
}
