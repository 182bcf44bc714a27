internal import MartinetJSON

/// A line of a batch's output or errors.
public struct BatchResult: Sendable, Hashable {
    /// Its name, `batch_req_…`.
    public var id: String
    /// The client's name for the request.
    public var customID: String
    /// What the route answered, or why it was not asked.
    public var outcome: Outcome

    /// How a request ended.
    public enum Outcome: Sendable, Hashable {
        /// The route's answer: a status and a body of JSON.
        case answer(status: Int, requestID: String, body: [UInt8])
        /// It was never answered.
        case omitted(code: String, message: String)
    }

    /// Describes a line.
    public init(id: String, customID: String, outcome: Outcome) {
        self.id = id
        self.customID = customID
        self.outcome = outcome
    }

    /// Whether it belongs to the errors.
    public var isError: Bool {
        if case .answer(let status, _, _) = outcome { !(200..<300).contains(status) } else { true }
    }

    /// The line's JSON, with its end.
    public var line: [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            writer.field("id", id)
            writer.field("custom_id", customID)
            switch outcome {
            case .answer(let status, let requestID, let body):
                writer.field("response") { writer in
                    writer.object { writer in
                        writer.field("status_code", status)
                        writer.field("request_id", requestID)
                        writer.key("body")
                        writer.raw(body)
                    }
                }
                writer.field("error", nil as String?)
            case .omitted(let code, let message):
                writer.field("response", nil as String?)
                writer.field("error") { writer in
                    writer.object { writer in
                        writer.field("code", code)
                        writer.field("message", message)
                    }
                }
            }
        }
        writer.raw("\n")
        return writer.bytes
    }
}
