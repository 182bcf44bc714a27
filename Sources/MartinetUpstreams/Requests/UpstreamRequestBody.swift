internal import MartinetJSON
package import MartinetAPI
package import NIOCore

/// Which of the known requests a path names.
enum RequestKind: Sendable, Hashable {
    case chat, completion, other

    init(path: String) {
        switch path {
        case "/v1/chat/completions": self = .chat
        case "/v1/completions": self = .completion
        default: self = .other
        }
    }
}

/// The JSON object that a client sent, with the places of the few members that matter to a pool.
///
/// Nothing is decoded beyond them, and the bytes go on as they are unless a member must change.
package struct UpstreamRequestBody: Sendable {
    /// The members that matter.
    enum Field: Int, CaseIterable {
        case model, stream, streamOptions, maxTokens, maxCompletionTokens, minTokens, messages, prompt, n, bestOf, echo,
            suffix, responseFormat, continueFinalMessage, addGenerationPrompt

        var name: StaticString {
            switch self {
            case .model: "model"
            case .stream: "stream"
            case .streamOptions: "stream_options"
            case .maxTokens: "max_tokens"
            case .maxCompletionTokens: "max_completion_tokens"
            case .minTokens: "min_tokens"
            case .messages: "messages"
            case .prompt: "prompt"
            case .n: "n"
            case .bestOf: "best_of"
            case .echo: "echo"
            case .suffix: "suffix"
            case .responseFormat: "response_format"
            case .continueFinalMessage: "continue_final_message"
            case .addGenerationPrompt: "add_generation_prompt"
            }
        }
    }

    /// The path of the request, such as `/v1/chat/completions`.
    package let path: String
    /// The model's name as the client gave it.
    package let model: String?
    /// Whether the client wants a stream.
    package let isStream: Bool
    /// The most tokens that the client wants, where it said so.
    package let maxTokens: Int?
    /// The bytes as the client sent them.
    package let bytes: ByteBuffer
    let kind: RequestKind
    /// Whether the client wants the usage at a stream's end.
    let wantsUsage: Bool
    /// Whether the client wants it with every chunk.
    let wantsRunningUsage: Bool
    private let ranges: [Range<Int>?]
    private let closingPosition: Int
    private let isEmpty: Bool

    /// Finds the members.
    ///
    /// - Throws: an error for the client where the bytes are no JSON object or name a member twice.
    package init(path: String, bytes: ByteBuffer) throws(APIError) {
        self.path = path
        self.bytes = bytes
        kind = RequestKind(path: path)
        let walk = try bytes.withUnsafeReadableBytes { bytes in Result { () throws(APIError) in try Self.walk(bytes) } }
            .get()
        ranges = walk.ranges
        closingPosition = walk.closing
        isEmpty = walk.isEmpty
        func value(_ field: Field) -> JSONValue? {
            guard let range = walk.ranges[field.rawValue],
                let slice = bytes.getBytes(at: bytes.readerIndex + range.lowerBound, length: range.count)
            else { return nil }
            return try? JSONParser.parse(slice)
        }
        if let model = value(.model) {
            guard let name = model.string, name.utf8.count <= 1024 else {
                throw .invalid("model", "`model` must be a string of at most 1024 bytes.")
            }
            self.model = name
        } else {
            model = nil
        }
        if case .bool(true)? = value(.stream) { isStream = true } else { isStream = false }
        maxTokens = (value(.maxCompletionTokens) ?? value(.maxTokens))?.integer.map { max($0, 0) }
        let options = value(.streamOptions)
        if case .bool(true)? = options?["include_usage"] { wantsUsage = true } else { wantsUsage = false }
        if case .bool(true)? = options?["continuous_usage_stats"] {
            wantsRunningUsage = true
        } else {
            wantsRunningUsage = false
        }
    }

    private static func walk(
        _ bytes: UnsafeRawBufferPointer
    ) throws(APIError) -> (ranges: [Range<Int>?], closing: Int, isEmpty: Bool) {
        var ranges = [Range<Int>?](repeating: nil, count: Field.allCases.count)
        var scanner = JSONScanner(bytes)
        guard scanner.openObject() else { throw .invalid(nil, "The body must be a JSON object.", code: "invalid_json") }
        var isEmpty = true
        while let (key, value) = scanner.nextMember() {
            isEmpty = false
            guard let field = try field(bytes, key) else { continue }
            guard ranges[field.rawValue] == nil else {
                throw .invalid("\(field.name)", "`\(field.name)` stands twice in the body.", code: "invalid_json")
            }
            ranges[field.rawValue] = value
        }
        guard scanner.isWhole else { throw .invalid(nil, "The body is not valid JSON.", code: "invalid_json") }
        return (ranges, scanner.closingPosition, isEmpty)
    }

    private static func field(_ bytes: UnsafeRawBufferPointer, _ key: Range<Int>) throws(APIError) -> Field? {
        guard bytes[key].contains(UInt8(ascii: "\\")) else {
            return Field.allCases.first { bytes.holds($0.name, at: key) }
        }
        // A key may be spelt with escapes, and the upstream would read it.
        guard let name = (try? JSONParser.parse([0x22] + bytes[key] + [0x22]))?.string else {
            throw .invalid(nil, "The body is not valid JSON.", code: "invalid_json")
        }
        return Field.allCases.first { "\($0.name)" == name }
    }

    /// Where a member's value stands, from the first readable byte.
    func range(of field: Field) -> Range<Int>? { ranges[field.rawValue] }

    /// A member's value; `nil` where it is absent or malformed.
    func value(of field: Field) -> JSONValue? {
        guard let range = range(of: field),
            let slice = bytes.getBytes(at: bytes.readerIndex + range.lowerBound, length: range.count)
        else { return nil }
        return try? JSONParser.parse(slice)
    }

    /// A change: a range's bytes become others.
    struct Edit {
        var range: Range<Int>
        var bytes: [UInt8]
    }

    /// The change that gives a member a value, whether it is there or not.
    func setting(_ field: Field, to value: [UInt8]) -> Edit {
        if let range = range(of: field) { return Edit(range: range, bytes: value) }
        let comma = isEmpty ? "" : ","
        return Edit(range: closingPosition..<closingPosition, bytes: Array("\(comma)\"\(field.name)\":".utf8) + value)
    }

    /// The bytes after changes, which do not overlap.
    func applying(_ edits: [Edit]) -> ByteBuffer {
        guard !edits.isEmpty else { return bytes }
        var edits = edits
        edits.sort { $0.range.lowerBound < $1.range.lowerBound }
        var result = ByteBufferAllocator().buffer(
            capacity: edits.reduce(bytes.readableBytes) { $0 + $1.bytes.count })
        let source = bytes.readableBytesView
        let base = source.startIndex
        var position = 0
        for edit in edits where edit.range.lowerBound >= position {
            result.writeBytes(source[base + position..<base + edit.range.lowerBound])
            result.writeBytes(edit.bytes)
            position = edit.range.upperBound
        }
        result.writeBytes(source[(base + position)...])
        return result
    }

    /// The usage that a member is asked for.
    enum UsageWish {
        /// At the stream's end.
        case final
        /// With every chunk, and at the end.
        case running
    }

    /// The changes that a member's configuration asks for.
    ///
    /// - Parameters:
    ///   - model: the upstream's name of the model, where it differs.
    ///   - usage: which usage to ask for beside what the client wants.
    func edits(model: String?, usage: UsageWish?) -> [Edit] {
        var edits: [Edit] = []
        if let model, range(of: .model) != nil {
            var writer = JSONWriter()
            writer.value(model)
            edits.append(setting(.model, to: writer.bytes))
        }
        if let usage {
            let names = usage == .running ? ["include_usage", "continuous_usage_stats"] : ["include_usage"]
            var options: [(key: String, value: JSONValue)] = []
            if case .object(let members)? = value(of: .streamOptions) {
                options = members.filter { !names.contains($0.key) }
            }
            options += names.map { (key: $0, value: .bool(true)) }
            var writer = JSONWriter()
            writer.value(.object(options))
            edits.append(setting(.streamOptions, to: writer.bytes))
        }
        return edits
    }
}
