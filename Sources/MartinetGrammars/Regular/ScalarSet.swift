/// A set of Unicode scalars.
package struct ScalarSet: Sendable, Hashable {
    /// In order, neither overlapping nor touching, without surrogates.
    package let ranges: [ClosedRange<UInt32>]

    /// The scalars of these ranges; surrogates in them are left out.
    package init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        let scalars = ranges.flatMap { range -> [ClosedRange<UInt32>] in
            var parts: [ClosedRange<UInt32>] = []
            if range.lowerBound < 0xD800 { parts.append(range.lowerBound...min(range.upperBound, 0xD7FF)) }
            if range.upperBound > 0xDFFF { parts.append(max(range.lowerBound, 0xE000)...range.upperBound) }
            return parts
        }
        for range in scalars.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    /// The scalars of a text.
    package init(_ text: String) {
        self.init(text.unicodeScalars.map { $0.value...$0.value })
    }

    /// One scalar.
    package init(_ scalar: Unicode.Scalar) {
        self.init([scalar.value...scalar.value])
    }

    package static let all = ScalarSet([0...0x10FFFF])
    package static let digits = ScalarSet([0x30...0x39])
    package static let wordCharacters = ScalarSet([0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    package static let lineEnds = ScalarSet("\n\r\u{2028}\u{2029}")
    /// What `\s` stands for in ECMA-262: its white space and line ends.
    package static let whitespace = ScalarSet([
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ])

    /// Whether it holds none.
    package var isEmpty: Bool { ranges.isEmpty }
    /// How many it holds.
    package var count: Int { ranges.reduce(0) { $0 + $1.count } }
    /// What either holds.
    package func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    /// All others.
    package var inverted: ScalarSet {
        var gaps: [ClosedRange<UInt32>] = []
        var start: UInt32 = 0
        for range in ranges {
            if range.lowerBound > start { gaps.append(start...range.lowerBound - 1) }
            start = range.upperBound + 1
        }
        if start <= 0x10FFFF { gaps.append(start...0x10FFFF) }
        return ScalarSet(gaps)
    }
}
