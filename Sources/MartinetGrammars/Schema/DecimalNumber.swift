/// A decimal number as JSON writes it, exact.
struct DecimalNumber: Hashable, Sendable {
    /// The largest power of ten, up or down, that a schema's numbers may hold.
    static let maximumExponent = 400

    var isNegative: Bool
    /// Its digits from the first that is not zero to the last that is not; none for zero.
    var digits: [UInt8]
    /// The power of ten that the digits, as one whole number, are multiplied with.
    var exponent: Int

    /// A number from its spelling in JSON; `nil` where it has more digits than bounds allow.
    init?(_ spelling: some StringProtocol) {
        var digits: [UInt8] = []
        var exponent = 0
        var rest = Substring(spelling)
        isNegative = rest.first == "-"
        if isNegative { rest.removeFirst() }
        if let mark = rest.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            var power = rest[rest.index(after: mark)...]
            if power.first == "+" { power.removeFirst() }
            guard let value = Int(power), (-1_000_000...1_000_000).contains(value) else { return nil }
            exponent = value
            rest = rest[..<mark]
        }
        var isFraction = false
        for character in rest.utf8 {
            if character == UInt8(ascii: ".") {
                isFraction = true
            } else {
                digits.append(character &- 0x30)
                if isFraction { exponent -= 1 }
            }
        }
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        self.digits = Array(digits.drop { $0 == 0 })
        self.exponent = self.digits.isEmpty ? 0 : exponent
        if self.digits.isEmpty { isNegative = false }
        guard abs(self.exponent) + self.digits.count <= Self.maximumExponent else { return nil }
    }

    /// A small whole number.
    init(_ value: Int) {
        isNegative = value < 0
        digits = String(value.magnitude).utf8.map { $0 - 0x30 }
        exponent = 0
        while digits.last == 0 {
            digits.removeLast()
            exponent += 1
        }
        if value == 0 { exponent = 0 }
    }

    /// The digits before the point, at least one.
    var wholeDigits: [UInt8] {
        guard digits.count + exponent > 0 else { return [0] }
        return exponent >= 0 ? digits + [UInt8](repeating: 0, count: exponent) : Array(digits.dropLast(-exponent))
    }

    /// The digits behind the point; the last is not zero.
    var fractionDigits: [UInt8] {
        guard exponent < 0 else { return [] }
        let missing = max(0, -exponent - digits.count)
        return [UInt8](repeating: 0, count: missing) + digits.suffix(-exponent)
    }

    /// Its value where that is a whole number from 0 on that fits.
    var count: Int? {
        guard !isNegative, exponent >= 0 else { return nil }
        return Int(wholeDigits.map(String.init).joined())
    }
}
