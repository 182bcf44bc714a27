/// Reads a source scalar by scalar: what both notations share.
struct EBNFReader {
    /// The most parentheses within each other.
    static let depthLimit = 128
    /// The most often that a repetition may be asked for.
    static let repetitionLimit = 100_000

    private let scalars: [Unicode.Scalar]
    private let lineStarts: [Int]
    private var position = 0

    init(_ source: String) {
        scalars = Array(source.unicodeScalars)
        var starts = [0]
        for (place, scalar) in scalars.enumerated() where scalar == "\n" { starts.append(place + 1) }
        lineStarts = starts
    }

    /// The scalar at hand; `nil` at the end.
    var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

    /// The scalar so many after the one at hand.
    func peek(_ distance: Int) -> Unicode.Scalar? {
        position + distance < scalars.count ? scalars[position + distance] : nil
    }

    /// Where the reader stands; may be gone back to.
    var mark: Int {
        get { position }
        set { position = newValue }
    }

    /// The place at hand.
    var place: EBNFPlace { place(at: position) }

    /// The place of a mark.
    func place(at mark: Int) -> EBNFPlace {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if lineStarts[middle] <= mark { low = middle } else { high = middle }
        }
        return EBNFPlace(line: low + 1, column: mark - lineStarts[low] + 1)
    }

    mutating func advance(_ count: Int = 1) { position += count }

    /// Takes a text if it is at hand.
    mutating func take(_ text: String) -> Bool {
        var end = position
        for scalar in text.unicodeScalars {
            guard end < scalars.count, scalars[end] == scalar else { return false }
            end += 1
        }
        position = end
        return true
    }

    /// Takes as many scalars as fit.
    mutating func take(while fits: (Unicode.Scalar) -> Bool) -> String {
        var text = String.UnicodeScalarView()
        while let scalar = current, fits(scalar) {
            text.append(scalar)
            position += 1
        }
        return String(text)
    }

    /// An error that says what was expected at hand.
    func expected(_ what: String, at mark: Int? = nil) -> GrammarError {
        let mark = mark ?? position
        let found = mark < scalars.count ? "`\(Self.shown(scalars[mark]))`" : "the end"
        return GrammarError("expected \(what), found \(found)", at: place(at: mark).description)
    }

    private static func shown(_ scalar: Unicode.Scalar) -> String { scalar == "\n" ? "\\n" : String(scalar) }

    /// A decimal number.
    mutating func number() throws(GrammarError) -> Int {
        let start = position
        let digits = take { ("0"..."9").contains($0) }
        guard let number = Int(digits) else { throw expected("a number", at: start) }
        guard number <= Self.repetitionLimit else {
            throw GrammarError(
                "a repetition may be of \(Self.repetitionLimit) times; leave the bound out",
                at: place(at: start).description)
        }
        return number
    }

    /// What follows a backslash: a control, a scalar in hexadecimal, or a sign that stands for itself.
    mutating func escape() throws(GrammarError) -> Unicode.Scalar {
        let start = position
        guard let scalar = current else { throw expected("an escape") }
        position += 1
        switch scalar {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "f": return "\u{0C}"
        case "v": return "\u{0B}"
        case "b": return "\u{08}"
        case "0": return "\0"
        case "x": return try hexadecimal(2)
        case "u": return try hexadecimal(4)
        case "U": return try hexadecimal(8)
        default:
            guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar), scalar != "\n" else {
                throw expected("one of the escapes \\n \\r \\t \\xHH \\uHHHH \\UHHHHHHHH, or a sign", at: start)
            }
            return scalar
        }
    }

    private mutating func hexadecimal(_ digits: Int) throws(GrammarError) -> Unicode.Scalar {
        let start = position
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let scalar = current, scalar.isASCII, let digit = Character(scalar).hexDigitValue else {
                throw expected("\(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw GrammarError("this is no Unicode scalar", at: place(at: start).description)
        }
        return scalar
    }
}
