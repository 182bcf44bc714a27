/// Why a tokenizer could not be made from its definition.
public struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of fault it is. The set is open: new codes may be added.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The stable name of the code.
        public let description: String

        /// The definition contradicts itself or lacks something.
        public static let invalidDefinition = Code(description: "invalid_definition")
        /// The definition is well formed, but asks for something that is not implemented.
        public static let unsupported = Code(description: "unsupported")
        /// A `tokenizer.json` or `tokenizer_config.json` is not valid JSON or has the wrong shape.
        public static let invalidJSON = Code(description: "invalid_json")
    }

    /// The kind of fault.
    public let code: Code
    /// What was wrong, with the offending value.
    public let message: String

    /// An error of a kind, with words that name the offence.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Code and message.
    public var description: String { "\(code): \(message)" }
}
