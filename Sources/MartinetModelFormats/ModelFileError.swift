/// Why a model file cannot be used: which file, what is wrong with it, and where.
public struct ModelFileError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        public let description: String
        /// Nothing lies at the path.
        public static let notFound = Code(description: "not_found")
        /// The system refused to open, read or map it.
        public static let unreadable = Code(description: "unreadable")
        /// The file is of another kind.
        public static let notAModel = Code(description: "not_a_model")
        /// The file ends before what it announces.
        public static let truncated = Code(description: "truncated")
        /// The file contradicts itself or its format.
        public static let invalid = Code(description: "invalid")
        /// A valid file that uses a version or an element type which we do not read.
        public static let unsupported = Code(description: "unsupported")
        /// Several models where one was expected.
        public static let ambiguous = Code(description: "ambiguous")
        /// A file is there already where one was to be written.
        public static let exists = Code(description: "exists")
        /// The system refused to create or write it.
        public static let unwritable = Code(description: "unwritable")
    }
    /// What kind of error it is.
    public var code: Code
    /// The file or folder, as the caller named it.
    public var file: String
    /// What is wrong, at which place, and what to do about it; without the file's name.
    public var message: String

    /// Makes an error about `file`.
    public init(_ code: Code, file: String, _ message: String) {
        self.code = code
        self.file = file
        self.message = message
    }

    /// The file's name and the message.
    public var description: String { "\(file): \(message)" }
}

extension String {
    /// The text between apostrophes for a message: control characters escaped, long ones cut, since names in model
    /// files come from strangers.
    package var quotedForMessage: String {
        var text = "'"
        for (index, scalar) in unicodeScalars.enumerated() {
            if index == 96 {
                text += "…"
                break
            }
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            text += isControl ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
        return text + "'"
    }
}
