/// A set of Unicode scalars, and how it reads as bytes of UTF-8.
struct ScalarRanges: Sendable, Hashable {
    /// In order, apart from each other; never surrogates.
    private(set) var ranges: [ClosedRange<UInt32>]

    /// The scalars of some ranges in any order; surrogates are left out.
    init(_ ranges: [ClosedRange<UInt32>]) {
        var result: [ClosedRange<UInt32>] = []
        for range in ranges.flatMap(Self.withoutSurrogates).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        // What met over the surrogates is apart again.
        self.ranges = result.flatMap(Self.withoutSurrogates)
    }

    /// All scalars.
    static let all = ScalarRanges([0...0x10FFFF])

    /// All other scalars.
    var inverted: ScalarRanges {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if next < range.lowerBound { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { result.append(next...0x10FFFF) }
        return ScalarRanges(result)
    }

    private static func withoutSurrogates(_ range: ClosedRange<UInt32>) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        if range.lowerBound < 0xD800 { result.append(range.lowerBound...min(range.upperBound, 0xD7FF)) }
        if range.upperBound > 0xDFFF { result.append(max(range.lowerBound, 0xE000)...range.upperBound) }
        return result
    }

    /// One scalar of the set as UTF-8; `nil` for the empty set.
    var node: GrammarNode? {
        var single = ByteSet()
        var options: [GrammarNode] = []
        for range in ranges {
            for (first, last) in Self.lengths where range.lowerBound <= last && range.upperBound >= first {
                let low = Self.bytes(max(first, range.lowerBound))
                let high = Self.bytes(min(last, range.upperBound))
                if low.count == 1 {
                    single.formUnion(ByteSet(low[0]...high[0]))
                } else {
                    options += Self.sequences(low[...], high[...]).map { .sequence($0.map { .anyByte(ByteSet($0)) }) }
                }
            }
        }
        if !single.isEmpty { options.insert(.anyByte(single), at: 0) }
        return options.count < 2 ? options.first : .choice(options)
    }

    /// Scalars of one, two, three and four bytes.
    private static let lengths: [(UInt32, UInt32)] = [
        (0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, 0x10FFFF),
    ]

    private static func bytes(_ value: UInt32) -> [UInt8] {
        Unicode.Scalar(value).map { Array(String(Character($0)).utf8) } ?? []
    }

    /// Ranges of bytes, position by position, that read all between two texts of equal length.
    private static func sequences(_ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>) -> [[ClosedRange<UInt8>]] {
        guard var first = low.first, var last = high.first else { return [[]] }
        let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
        let rest = lowRest.count
        if first == last { return sequences(lowRest, highRest).map { [first...first] + $0 } }
        var result: [[ClosedRange<UInt8>]] = []
        if lowRest.contains(where: { $0 != 0x80 }) {
            let top = [UInt8](repeating: 0xBF, count: rest)
            result += sequences(lowRest, top[...]).map { [first...first] + $0 }
            first += 1
        }
        var ending: [[ClosedRange<UInt8>]] = []
        if highRest.contains(where: { $0 != 0xBF }) {
            let bottom = [UInt8](repeating: 0x80, count: rest)
            ending = sequences(bottom[...], highRest).map { [last...last] + $0 }
            last -= 1
        }
        if first <= last { result.append([first...last] + [ClosedRange<UInt8>](repeating: 0x80...0xBF, count: rest)) }
        return result + ending
    }
}
