internal import MartinetJSON
internal import MartinetAPI
internal import NIOCore

/// What a broken stream has given so far, and how to ask another member for the rest.
struct Continuation: Sendable {
    /// The text so far as it stood inside JSON strings, still escaped.
    private(set) var text: [UInt8] = []
    /// Tokens so far: what the upstream counted, else its chunks with text.
    private(set) var tokens = 0
    /// What speaks against continuing.
    private(set) var obstacle: String?
    /// Tokens that the last member had counted when it began.
    private var base = 0

    private static let maxTextBytes = 32 << 20

    /// A continuation of a request's stream from nothing.
    ///
    /// - Parameter isAllowed: whether any member could continue it.
    init(_ body: UpstreamRequestBody, isAllowed: Bool) {
        obstacle = isAllowed ? Self.obstacle(body) : "no member continues texts of others"
    }

    /// Adds what one event brought.
    mutating func add(_ facts: EventFacts, in bytes: UnsafeRawBufferPointer) {
        if facts.isUncontinuable { refuse("its stream holds more than the text of one choice") }
        if let range = facts.text, obstacle == nil { text.append(contentsOf: bytes[range]) }
        if let counted = facts.completionTokens {
            tokens = max(tokens, base + counted)
        } else if facts.text?.isEmpty == false {
            tokens += 1
        }
        // What a long text costs in memory is bounded like an answer that is no stream.
        if text.count > Self.maxTextBytes { refuse("its text is too long") }
    }

    private mutating func refuse(_ reason: String) {
        obstacle = obstacle ?? reason
        text = []
    }

    /// Another member goes on.
    mutating func beginSegment() { base = tokens }

    private static func obstacle(_ body: UpstreamRequestBody) -> String? {
        func isAtMostOne(_ field: UpstreamRequestBody.Field) -> Bool {
            guard body.range(of: field) != nil else { return true }
            switch body.value(of: field) {
            case .null?: return true
            case .integer(let count)?: return count <= 1
            default: return false
            }
        }
        guard isAtMostOne(.n), isAtMostOne(.bestOf) else { return "it has several choices" }
        switch body.value(of: .responseFormat) {
        case nil, .null?: break
        case let format?: if format["type"]?.string != "text" { return "its output has a fixed format" }
        }
        switch body.kind {
        case .other: return "its text cannot be continued by this API"
        case .chat:
            guard case .array(let messages)? = body.value(of: .messages), !messages.isEmpty else {
                return "its messages are no list"
            }
            if isTrue(body.value(of: .continueFinalMessage)), messages.last?["content"]?.string == nil {
                return "its last message is no text"
            }
        case .completion:
            guard body.value(of: .prompt)?.string != nil else { return "its prompt is not one text" }
            if isTrue(body.value(of: .echo)) { return "it wants the prompt back" }
            switch body.value(of: .suffix) {
            case nil, .null?: break
            default: return "it has a suffix"
            }
        }
        return nil
    }

    private static func isTrue(_ value: JSONValue?) -> Bool {
        if case .bool(true)? = value { true } else { false }
    }

    /// The changes to the request that ask for the rest; `nil` where no token is left to ask for.
    func edits(of body: UpstreamRequestBody) -> [UpstreamRequestBody.Edit]? {
        guard !text.isEmpty else { return [] }
        var edits: [UpstreamRequestBody.Edit] = []
        for field in [UpstreamRequestBody.Field.maxTokens, .maxCompletionTokens, .minTokens] {
            guard let count = body.value(of: field)?.integer else { continue }
            let left = max(count, 0) - min(tokens, max(count, 0))
            if field != .minTokens, left == 0 { return nil }
            edits.append(body.setting(field, to: Array("\(left)".utf8)))
        }
        if body.kind == .completion {
            if body.value(of: .maxTokens)?.integer == nil {
                // The API's default counts from the first token. Who gave more does not know it.
                guard tokens != 16 else { return nil }
                if tokens < 16 { edits.append(body.setting(.maxTokens, to: Array("\(16 - tokens)".utf8))) }
            }
            if let prompt = body.range(of: .prompt) { edits.append(Self.appending(text, toStringAt: prompt)) }
            return edits
        }
        guard let messages = body.range(of: .messages) else { return nil }
        if Self.isTrue(body.value(of: .continueFinalMessage)) {
            guard let content = Self.lastContent(body, messages) else { return nil }
            edits.append(Self.appending(text, toStringAt: content))
        } else {
            let place = messages.upperBound - 1
            let message = Array(",{\"role\":\"assistant\",\"content\":\"".utf8) + text + Array("\"}".utf8)
            edits.append(UpstreamRequestBody.Edit(range: place..<place, bytes: message))
            edits.append(body.setting(.continueFinalMessage, to: Array("true".utf8)))
            edits.append(body.setting(.addGenerationPrompt, to: Array("false".utf8)))
        }
        return edits
    }

    private static func appending(_ text: [UInt8], toStringAt range: Range<Int>) -> UpstreamRequestBody.Edit {
        let place = range.upperBound - 1
        return UpstreamRequestBody.Edit(range: place..<place, bytes: text)
    }

    private static func lastContent(_ body: UpstreamRequestBody, _ messages: Range<Int>) -> Range<Int>? {
        body.bytes.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes, messages)
            guard scanner.openArray() else { return nil }
            var last: Range<Int>?
            while let element = scanner.nextElement() { last = element }
            guard let last else { return nil }
            var members = JSONScanner(bytes, last)
            guard members.openObject() else { return nil }
            while let (key, value) = members.nextMember() {
                if bytes.holds("content", at: key), bytes[value.lowerBound] == UInt8(ascii: "\"") { return value }
            }
            return nil
        }
    }
}
