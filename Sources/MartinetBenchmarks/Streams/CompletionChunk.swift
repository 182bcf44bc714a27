/// What a benchmark wants of one chunk of an OpenAI stream, a chat's or a completion's.
///
/// The chunk is walked once and nothing is built of it: a tenth of what a decoder costs, and on a small machine the
/// client's cost is taken from the server under test.
public struct CompletionChunk: Sendable, Hashable {
    /// The bytes are not JSON, or nested deeper than any chunk is.
    public struct Malformed: Error, Sendable {}

    /// Whether any choice brings text: an answer's, or that of a model's reasoning.
    public var hasText = false
    /// Whether any choice says why it ended.
    public var isFinished = false
    /// Whether the chunk is, or carries, an error.
    public var isError = false
    /// The error's message, at most 200 bytes of it, as the JSON has it.
    public var errorMessage = ""
    /// Tokens in the prompt, where the chunk carries usage.
    public var promptTokens: Int?
    /// Tokens of the answer so far, where the chunk carries usage.
    public var completionTokens: Int?

    /// Reads a chunk.
    public init(parsing bytes: [UInt8]) throws(Malformed) {
        var scanner = Scanner(bytes: bytes)
        self = CompletionChunk()
        scanner.skipSpace()
        guard scanner.peek() == UInt8(ascii: "{") else { throw Malformed() }
        try scanner.value(of: .root, depth: 0, into: &self)
        scanner.skipSpace()
        guard scanner.peek() == nil else { throw Malformed() }
    }

    private init() {}
}

/// Which value is being walked.
private enum Place {
    case root, choices, choice, message, text, finishReason, usage, promptTokens, completionTokens, error
    case errorMessage
    case other

    func member(_ key: ArraySlice<UInt8>) -> Place {
        switch self {
        case .root:
            key.elementsEqual("choices".utf8)
                ? .choices
                : key.elementsEqual("usage".utf8) ? .usage : key.elementsEqual("error".utf8) ? .error : .other
        case .choice:
            key.elementsEqual("text".utf8)
                ? .text
                : key.elementsEqual("delta".utf8) || key.elementsEqual("message".utf8)
                    ? .message : key.elementsEqual("finish_reason".utf8) ? .finishReason : .other
        case .message:
            key.elementsEqual("content".utf8) || key.elementsEqual("reasoning_content".utf8)
                || key.elementsEqual("reasoning".utf8) ? .text : .other
        case .usage:
            key.elementsEqual("prompt_tokens".utf8)
                ? .promptTokens : key.elementsEqual("completion_tokens".utf8) ? .completionTokens : .other
        case .error: key.elementsEqual("message".utf8) ? .errorMessage : .other
        default: .other
        }
    }
}

private struct Scanner {
    let bytes: [UInt8]
    private var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    func peek() -> UInt8? { index < bytes.count ? bytes[index] : nil }

    mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        index += 1
        return true
    }

    mutating func value(of place: Place, depth: Int, into chunk: inout CompletionChunk) throws(CompletionChunk
        .Malformed)
    {
        guard depth < 64, let first = peek() else { throw .init() }
        if place == .error, first != UInt8(ascii: "n") { chunk.isError = true }
        switch first {
        case UInt8(ascii: "{"):
            index += 1
            skipSpace()
            guard !take(UInt8(ascii: "}")) else { return }
            repeat {
                skipSpace()
                let key = try string()
                skipSpace()
                guard take(UInt8(ascii: ":")) else { throw .init() }
                skipSpace()
                try value(of: place.member(key), depth: depth + 1, into: &chunk)
                skipSpace()
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "}")) else { throw .init() }
        case UInt8(ascii: "["):
            index += 1
            skipSpace()
            guard !take(UInt8(ascii: "]")) else { return }
            repeat {
                skipSpace()
                try value(of: place == .choices ? .choice : .other, depth: depth + 1, into: &chunk)
                skipSpace()
            } while take(UInt8(ascii: ","))
            guard take(UInt8(ascii: "]")) else { throw .init() }
        case UInt8(ascii: "\""):
            let text = try string()
            switch place {
            case .text: if !text.isEmpty { chunk.hasText = true }
            case .finishReason: chunk.isFinished = true
            case .error, .errorMessage: chunk.errorMessage = String(decoding: text.prefix(200), as: UTF8.self)
            default: break
            }
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default:
            let count = try number()
            if place == .promptTokens { chunk.promptTokens = count }
            if place == .completionTokens { chunk.completionTokens = count }
        }
    }

    /// The bytes between the quotes, with their escapes.
    private mutating func string() throws(CompletionChunk.Malformed) -> ArraySlice<UInt8> {
        guard take(UInt8(ascii: "\"")) else { throw .init() }
        let start = index
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                return bytes[start..<index - 1]
            case UInt8(ascii: "\\"): index += 2
            case 0..<0x20: throw .init()
            default: index += 1
            }
        }
        throw .init()
    }

    private mutating func literal(_ text: StaticString) throws(CompletionChunk.Malformed) {
        let end = index + text.utf8CodeUnitCount
        guard end <= bytes.count, bytes[index..<end].elementsEqual("\(text)".utf8) else { throw .init() }
        index = end
    }

    /// A whole number of at most twelve digits, or `nil` for other numbers.
    private mutating func number() throws(CompletionChunk.Malformed) -> Int? {
        let start = index
        var count = 0
        var isWhole = true
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if index - start < 12 { count = count * 10 + Int(byte - UInt8(ascii: "0")) } else { isWhole = false }
            case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
                isWhole = false
            default:
                guard index > start else { throw .init() }
                return isWhole ? count : nil
            }
            index += 1
        }
        throw .init()
    }
}
