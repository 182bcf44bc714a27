/// How a byte-level model cuts text into words before it merges bytes; merges never cross a cut.
///
/// Each is the hand-written equal of a published regular expression, named at its case.
public enum PreTokenizer: String, Sendable, Hashable, CaseIterable {
    /// GPT-2: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
    case gpt2
    /// Each number character by itself, GPT-2's expression between them: SmolLM, StarCoder, Command R, Refact.
    case digitsThenGPT2
    /// Llama 3: numbers in groups of up to three, contractions in any case, line ends kept together.
    case llama3
    /// Qwen 2: as Llama 3, but each number character by itself.
    case qwen2
    /// The whole text is one word.
    case wholeText

    /// Appends the ends of the words of a well-formed UTF-8 text, as byte offsets.
    package func split(_ text: UnsafeBufferPointer<UInt8>, into ends: inout [Int]) {
        if text.isEmpty { return }
        switch self {
        case .wholeText: ends.append(text.count)
        case .gpt2: ScalarReader.read(text) { $0.splitGPT2(0..<text.count, into: &ends) }
        case .digitsThenGPT2: ScalarReader.read(text) { $0.splitDigitsThenGPT2(into: &ends) }
        case .llama3: ScalarReader.read(text) { $0.splitLlama3(digits: 3, into: &ends) }
        case .qwen2: ScalarReader.read(text) { $0.splitLlama3(digits: 1, into: &ends) }
        }
    }
}

extension ScalarReader {
    /// The end of the run of scalars from an offset whose class meets a condition.
    @inline(__always)
    private func run(_ from: Int, _ limit: Int, while condition: (ScalarClass) -> Bool) -> Int {
        var end = from
        while end < limit {
            let next = scalar(at: end)
            guard condition(next.kind) else { break }
            end = next.end
        }
        return end
    }

    @inline(__always)
    private static func isOther(_ kind: ScalarClass) -> Bool {
        kind.isDisjoint(with: [.letter, .number, .space])
    }

    /// The length in bytes of `s|t|re|ve|m|ll|d` at an offset, or 0.
    @inline(__always)
    private func contraction(at offset: Int, _ limit: Int, anyCase: Bool) -> Int {
        guard offset < limit else { return 0 }
        let fold: UInt8 = anyCase ? 0x20 : 0
        switch text[offset] | fold {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 1
        case UInt8(ascii: "r"), UInt8(ascii: "v"):
            return offset + 1 < limit && text[offset + 1] | fold == UInt8(ascii: "e") ? 2 : 0
        case UInt8(ascii: "l"):
            return offset + 1 < limit && text[offset + 1] | fold == UInt8(ascii: "l") ? 2 : 0
        case 0xc5 | fold:
            // The long s (U+017F) folds to s.
            return anyCase && text[offset] == 0xc5 && offset + 1 < limit && text[offset + 1] == 0xbf ? 2 : 0
        default: return 0
        }
    }

    /// `\s+(?!\S)|\s+` from an offset that starts a run of white space: all of it at the end of the text, else all
    /// but its last scalar, but at least one.
    @inline(__always)
    private func spaces(_ from: Int, _ limit: Int) -> Int {
        var end = from
        var last = from
        while end < limit {
            let next = scalar(at: end)
            guard next.kind.contains(.space) else { return last > from ? last : end }
            last = end
            end = next.end
        }
        return end
    }

    func splitGPT2(_ range: Range<Int>, into ends: inout [Int]) {
        let limit = range.upperBound
        var offset = range.lowerBound
        while offset < limit {
            if text[offset] == UInt8(ascii: "'") {
                let length = contraction(at: offset + 1, limit, anyCase: false)
                if length > 0 {
                    offset += 1 + length
                    ends.append(offset)
                    continue
                }
            }
            var start = offset
            var kind = scalar(at: start).kind
            if text[offset] == UInt8(ascii: " "), offset + 1 < limit {
                let next = scalar(at: offset + 1).kind
                if !next.contains(.space) {
                    start = offset + 1
                    kind = next
                }
            }
            if kind.contains(.letter) {
                offset = run(start, limit) { $0.contains(.letter) }
            } else if kind.contains(.number) {
                offset = run(start, limit) { $0.contains(.number) }
            } else if kind.contains(.space) {
                offset = spaces(start, limit)
            } else {
                offset = run(start, limit, while: Self.isOther)
            }
            ends.append(offset)
        }
    }

    func splitDigitsThenGPT2(into ends: inout [Int]) {
        var start = 0
        var offset = 0
        while offset < text.count {
            let next = scalar(at: offset)
            if next.kind.contains(.number) {
                if start < offset { splitGPT2(start..<offset, into: &ends) }
                ends.append(next.end)
                start = next.end
            }
            offset = next.end
        }
        if start < offset { splitGPT2(start..<offset, into: &ends) }
    }

    func splitLlama3(digits: Int, into ends: inout [Int]) {
        let limit = text.count
        var offset = 0
        while offset < limit {
            if text[offset] == UInt8(ascii: "'") {
                let length = contraction(at: offset + 1, limit, anyCase: true)
                if length > 0 {
                    offset += 1 + length
                    ends.append(offset)
                    continue
                }
            }
            offset = wordEnd(from: offset, limit, digits: digits)
            ends.append(offset)
        }
    }

    @inline(__always)
    private func wordEnd(from offset: Int, _ limit: Int, digits: Int) -> Int {
        let first = scalar(at: offset)
        if first.kind.contains(.letter) { return run(first.end, limit) { $0.contains(.letter) } }
        if first.kind.contains(.number) {
            var end = first.end
            var count = 1
            while count < digits, end < limit, case let next = scalar(at: end), next.kind.contains(.number) {
                end = next.end
                count += 1
            }
            return end
        }
        let second = first.end < limit ? scalar(at: first.end) : nil
        if let second, !first.kind.contains(.newline), second.kind.contains(.letter) {
            return run(second.end, limit) { $0.contains(.letter) }
        }
        var start = offset
        if text[offset] == UInt8(ascii: " "), let second, Self.isOther(second.kind) { start = first.end }
        if start > offset || Self.isOther(first.kind) {
            let end = run(start, limit, while: Self.isOther)
            return run(end, limit) { $0.contains(.newline) }
        }
        // `\s*[\r\n]+`: the run of white space up to its last line end.
        var end = offset
        var lastLineEnd = offset
        while end < limit, case let next = scalar(at: end), next.kind.contains(.space) {
            end = next.end
            if next.kind.contains(.newline) { lastLineEnd = end }
        }
        return lastLineEnd > offset ? lastLineEnd : spaces(offset, limit)
    }
}
