/// The properties of Unicode scalars that pre-tokenizers ask for.
struct ScalarClass: OptionSet, BitwiseCopyable, Sendable {
    var rawValue: UInt8

    /// General categories L*.
    static let letter = ScalarClass(rawValue: 1)
    /// General categories N*.
    static let number = ScalarClass(rawValue: 2)
    /// White_Space.
    static let space = ScalarClass(rawValue: 4)
    /// Carriage return and line feed.
    static let newline = ScalarClass(rawValue: 8)
    /// What a regular expression's `\w` matches beside letters: marks, decimal digits, connectors.
    static let word = ScalarClass(rawValue: 16)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(_ scalar: Unicode.Scalar) {
        self = []
        let properties = scalar.properties
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: insert(.letter)
        case .decimalNumber: formUnion([.number, .word])
        case .letterNumber, .otherNumber: insert(.number)
        case .nonspacingMark, .spacingMark, .enclosingMark, .connectorPunctuation: insert(.word)
        default: break
        }
        if properties.isWhitespace { insert(.space) }
        if scalar == "\r" || scalar == "\n" { insert(.newline) }
    }

    /// The classes of the Basic Multilingual Plane; made once, in about 4 ms. Rarer scalars are asked one by one.
    static let table: [ScalarClass] = (0..<0x10000).map { value in
        Unicode.Scalar(UInt32(value)).map { ScalarClass($0) } ?? []
    }
}

/// Reads scalars and their classes from well-formed UTF-8.
struct ScalarReader {
    let text: UnsafeBufferPointer<UInt8>
    private let table: UnsafeBufferPointer<ScalarClass>

    /// Runs a body with a reader over a text, which must be well-formed UTF-8.
    static func read<Result>(_ text: UnsafeBufferPointer<UInt8>, _ body: (ScalarReader) -> Result) -> Result {
        ScalarClass.table.withUnsafeBufferPointer { body(ScalarReader(text: text, table: $0)) }
    }

    /// The class of the scalar that starts at an offset, and the offset after it.
    @inline(__always)
    func scalar(at offset: Int) -> (kind: ScalarClass, end: Int) {
        let first = text[offset]
        if first < 0x80 { return (table[Int(first)], offset + 1) }
        return wide(first, offset)
    }

    @inline(never)
    private func wide(_ first: UInt8, _ offset: Int) -> (kind: ScalarClass, end: Int) {
        let length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
        guard offset + length <= text.count else { return ([], text.count) }
        let second = Int(text[offset + 1] & 0x3f)
        if length == 2 { return (table[Int(first & 0x1f) << 6 | second], offset + 2) }
        let third = Int(text[offset + 2] & 0x3f)
        if length == 3 { return (table[Int(first & 0x0f) << 12 | second << 6 | third], offset + 3) }
        let value = Int(first & 0x07) << 18 | second << 12 | third << 6 | Int(text[offset + 3] & 0x3f)
        return (Unicode.Scalar(UInt32(value)).map { ScalarClass($0) } ?? [], offset + 4)
    }

    /// The class of the scalar that ends at an offset, and the offset where it starts.
    func scalar(before offset: Int) -> (kind: ScalarClass, start: Int) {
        var start = offset - 1
        while start > 0, text[start] & 0xc0 == 0x80 { start -= 1 }
        return (scalar(at: start).kind, start)
    }
}
