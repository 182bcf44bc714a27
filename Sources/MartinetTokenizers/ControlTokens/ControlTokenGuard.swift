/// The marks by which user text inside a rendered chat template is told from the template's own control tokens.
///
/// A mark is the noncharacter U+FDD0. Behind the first scalar of a spelling it breaks the spelling; two in a row stand
/// for one that the user wrote.
package enum ControlTokenGuard {
    private static let mark: [UInt8] = [0xef, 0xb7, 0x90]
    private static let first: UInt8 = 0xef

    @inline(__always)
    private static func isMark(_ text: UnsafeBufferPointer<UInt8>, _ offset: Int) -> Bool {
        offset >= 0 && offset + 2 < text.count && text[offset] == first && text[offset + 1] == 0xb7
            && text[offset + 2] == 0x90
    }

    /// Whether an odd number of marks stands directly before an offset. It protects spellings of a single scalar,
    /// which nothing could break.
    package static func protects(_ text: UnsafeBufferPointer<UInt8>, before offset: Int) -> Bool {
        var count = 0
        while isMark(text, offset - 3 * (count + 1)) { count += 1 }
        return count % 2 == 1
    }

    /// Takes the marks out of text between added tokens; a pair becomes one.
    package static func remove(from text: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var offset = 0
        while offset < text.count {
            if text[offset] == first, isMark(text, offset) {
                if isMark(text, offset + 3) {
                    result.append(contentsOf: text[offset..<offset + 3])
                    offset += 3
                }
                offset += 3
            } else {
                result.append(text[offset])
                offset += 1
            }
        }
        return result
    }

    /// Marks every place where a control token's spelling begins.
    package static func insert(into text: String, controls: AddedTokenMatcher) -> String {
        var text = text
        let marked = text.withUTF8 { utf8 -> [UInt8]? in
            var result: [UInt8] = []
            var copied = 0
            var offset = 0
            func copy(to end: Int) {
                result.append(contentsOf: utf8[copied..<end])
                copied = end
            }
            while offset < utf8.count {
                let length = utf8[offset] < 0x80 ? 1 : utf8[offset] < 0xe0 ? 2 : utf8[offset] < 0xf0 ? 3 : 4
                let isMark = isMark(utf8, offset)
                if isMark || controls.matches(utf8, at: offset) {
                    // A spelling of one scalar cannot be broken: the mark in front of it protects it.
                    let scalar = UnsafeBufferPointer(rebasing: utf8[offset..<offset + length])
                    let single = !isMark && controls.matches(scalar, at: 0)
                    copy(to: single ? offset : offset + length)
                    result.append(contentsOf: mark)
                }
                offset += length
            }
            if copied == 0 { return nil }
            copy(to: utf8.count)
            return result
        }
        guard let marked else { return text }
        return String(decoding: marked, as: UTF8.self)
    }
}

extension Tokenizer {
    /// The text with a noncharacter in every control token's spelling, for text that users wrote and a chat template
    /// will surround: ``encode(_:specials:)`` with `.parse` then finds the template's control tokens only, and encodes
    /// the user's text as `.asText` would.
    ///
    /// Lossless: a U+FDD0 in the text is doubled, and `encode` restores it.
    public func guardControlTokens(in text: String) -> String {
        if let tokenizer = self as? any InventoriedTokenizer {
            return ControlTokenGuard.insert(into: text, controls: tokenizer.inventory.controls)
        }
        let tokens = controlTokenSpellings.map { AddedToken(id: 0, content: $0, isControl: true) }
        return ControlTokenGuard.insert(into: text, controls: AddedTokenMatcher(tokens))
    }
}
