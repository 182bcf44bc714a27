/// What one server-sent event of an OpenAI stream holds, by byte ranges.
struct EventFacts {
    enum Kind {
        /// No data: a comment or a sign of life.
        case comment
        /// `[DONE]`.
        case done
        /// A chunk of the answer.
        case chunk
        /// An error.
        case error
        /// Not what the API promises.
        case malformed
    }

    var kind = Kind.comment
    /// Whether the client learns anything of the answer from it: text, a call, an end.
    var hasContent = false
    /// Whether it only says who speaks.
    var isRoleOnly = false
    /// The choice's end.
    var isFinish = false
    /// Whether it holds the usage and no choice.
    var isUsageOnly = false
    /// Whether it holds what no text can continue.
    var isUncontinuable = false
    /// The event's data.
    var data = 0..<0
    /// The text, escaped, without its quotes.
    var text: Range<Int>?
    var id: Range<Int>?
    var created: Range<Int>?
    var model: Range<Int>?
    var usage: Range<Int>?
    var promptTokens: Int?
    var completionTokens: Int?

    /// Looks into an event.
    ///
    /// - Parameters:
    ///   - event: its lines, the blank one included.
    init(_ bytes: UnsafeRawBufferPointer, _ event: Range<Int>, kind request: RequestKind) {
        guard let data = findData(bytes, event) else { return }
        self.data = data
        if bytes.holds("[DONE]", at: data) {
            kind = .done
            return
        }
        kind = .chunk
        guard request != .other else {
            hasContent = true
            isUncontinuable = true
            return
        }
        var hasChoices = false
        var isChoiceless = true
        var scanner = JSONScanner(bytes, data)
        guard scanner.openObject() else {
            kind = .malformed
            return
        }
        while let (key, value) = scanner.nextMember() {
            if bytes.holds("choices", at: key) {
                hasChoices = true
                isChoiceless = !readChoices(bytes, value)
            } else if bytes.holds("usage", at: key) {
                readUsage(bytes, value)
            } else if bytes.holds("error", at: key), bytes.isSomething(at: value) {
                kind = .error
            } else if bytes.holds("id", at: key) {
                id = value
            } else if bytes.holds("created", at: key) {
                created = value
            } else if bytes.holds("model", at: key) {
                model = value
            }
        }
        if !scanner.isWhole || (kind == .chunk && !hasChoices) { kind = .malformed }
        isUsageOnly = usage != nil && isChoiceless
    }

    /// The data of an event's one data line.
    private mutating func findData(_ bytes: UnsafeRawBufferPointer, _ event: Range<Int>) -> Range<Int>? {
        var found: Range<Int>?
        var start = event.lowerBound
        while start < event.upperBound {
            var end = start
            while end < event.upperBound, bytes[end] != 0x0A { end += 1 }
            let next = end + 1
            if end > start, bytes[end - 1] == 0x0D { end -= 1 }
            if end - start >= 5, bytes.holds("data:", at: start..<start + 5) {
                let first = start + 5 < end && bytes[start + 5] == 0x20 ? start + 6 : start + 5
                // Nobody sends these streams with data on several lines; an empty line is what can be judged then.
                found = found == nil ? first..<end : end..<end
            }
            start = next
        }
        return found
    }

    /// Reads the list of choices; false where it is empty.
    private mutating func readChoices(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        var choices = JSONScanner(bytes, range)
        guard choices.openArray() else { return false }
        var count = 0
        while let choice = choices.nextElement() {
            count += 1
            readChoice(bytes, choice)
        }
        if count > 1 { isUncontinuable = true }
        isRoleOnly = count > 0 && !hasContent
        return count > 0
    }

    private mutating func readChoice(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var members = JSONScanner(bytes, range)
        guard members.openObject() else { return }
        while let (key, value) = members.nextMember() {
            if bytes.holds("text", at: key) {
                readText(bytes, value)
            } else if bytes.holds("delta", at: key) {
                readDelta(bytes, value)
            } else if bytes.holds("finish_reason", at: key), bytes.isText(at: value) {
                isFinish = true
                hasContent = true
            } else if bytes.holds("index", at: key), !bytes.holds("0", at: value) {
                isUncontinuable = true
            }
        }
    }

    private mutating func readDelta(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var members = JSONScanner(bytes, range)
        guard members.openObject() else { return }
        while let (key, value) = members.nextMember() {
            if bytes.holds("content", at: key) {
                readText(bytes, value)
            } else if !bytes.holds("role", at: key), bytes.isSomething(at: value) {
                // A call of a tool, a thought, a refusal.
                hasContent = true
                isUncontinuable = true
            }
        }
    }

    private mutating func readText(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard bytes.isText(at: range) else { return }
        text = range.lowerBound + 1..<range.upperBound - 1
        hasContent = true
    }

    private mutating func readUsage(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard let counts = UsageCounts(bytes, range) else { return }
        usage = range
        promptTokens = counts.promptTokens
        completionTokens = counts.completionTokens
    }
}

/// The numbers of an answer's `usage`.
struct UsageCounts: Sendable, Hashable {
    var promptTokens = 0
    var completionTokens = 0

    init(promptTokens: Int, completionTokens: Int) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
    }

    /// Reads a `usage` object of any of the usual APIs; `nil` where it is none.
    init?(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        var members = JSONScanner(bytes, range)
        guard members.openObject() else { return nil }
        while let (key, value) = members.nextMember() {
            if bytes.holds("prompt_tokens", at: key) || bytes.holds("input_tokens", at: key) {
                promptTokens = Self.number(bytes, value)
            } else if bytes.holds("completion_tokens", at: key) || bytes.holds("output_tokens", at: key) {
                completionTokens = Self.number(bytes, value)
            }
        }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int {
        guard range.count <= 12 else { return 0 }
        var number = 0
        for index in range {
            guard bytes[index] >= 0x30, bytes[index] <= 0x39 else { return 0 }
            number = number * 10 + Int(bytes[index] - 0x30)
        }
        return number
    }
}
