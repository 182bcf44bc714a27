/// Turns tokens into text one at a time, and never emits half a character.
///
/// Bytes that may still become a character are held back until they do or cannot; then each maximal invalid part
/// becomes one U+FFFD, as Python's `errors="replace"` and Rust's lossy decoding have it. A copy goes on independently.
public struct IncrementalDetokenizer: Sendable {
    private let tokenizer: any Tokenizer
    private let includeSpecial: Bool
    private let shown: Set<Int32>
    private var pending: [UInt8] = []
    private var dropsSpace: Bool

    /// A detokenizer at the start of a text.
    ///
    /// - Parameters:
    ///   - tokenizer: Whose tokens they are.
    ///   - includeSpecial: Whether control tokens appear in the text.
    ///   - shown: Control tokens that appear in any case.
    ///   - continuesText: Whether text already stands before the first token: its leading space is then kept, where
    ///     the tokenizer would drop it at the start of a text.
    public init(
        _ tokenizer: any Tokenizer, includeSpecial: Bool, shown: Set<Int32> = [], continuesText: Bool = false
    ) {
        self.tokenizer = tokenizer
        self.includeSpecial = includeSpecial
        self.shown = shown
        dropsSpace = tokenizer.dropsLeadingSpace && !continuesText
    }

    /// The text that is complete with this token; empty while a character is not.
    public mutating func append(_ token: Int32) -> String {
        let isShown = includeSpecial || (!shown.isEmpty && shown.contains(token))
        tokenizer.appendBytes(of: token, includeSpecial: isShown, to: &pending)
        if pending.isEmpty { return "" }
        if dropsSpace {
            if pending[0] == UInt8(ascii: " ") { pending.removeFirst() }
            dropsSpace = false
        }
        let complete = pending.count - Self.incompleteSuffix(pending)
        if complete == 0 { return "" }
        let text = pending.withUnsafeBufferPointer {
            String(decoding: UnsafeBufferPointer(rebasing: $0[..<complete]), as: UTF8.self)
        }
        if complete == pending.count {
            pending.removeAll(keepingCapacity: true)
        } else {
            pending.removeFirst(complete)
        }
        return text
    }

    /// What was held back, as U+FFFD; the detokenizer is then at the start of a character again.
    public mutating func finish() -> String {
        let text = String(decoding: pending, as: UTF8.self)
        pending.removeAll(keepingCapacity: true)
        return text
    }

    /// How many bytes at the end are a proper prefix of a well-formed character (Unicode, table 3-7).
    private static func incompleteSuffix(_ bytes: [UInt8]) -> Int {
        let count = bytes.count
        for length in 1...3 where length <= count {
            let lead = bytes[count - length]
            if lead & 0xc0 == 0x80 { continue }
            let needed = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1
            if length >= needed { return 0 }
            if length >= 2 {
                let second = bytes[count - length + 1]
                let low: UInt8 = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80
                let high: UInt8 = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf
                if second < low || second > high { return 0 }
            }
            return length
        }
        return 0
    }
}
