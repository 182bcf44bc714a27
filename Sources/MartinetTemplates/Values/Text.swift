/// A Python string: valid UTF-8, compared by its code points (Swift's `String` compares by canonical equivalence),
/// and indexed by them.
struct Text: Hashable, Sendable {
    private(set) var bytes: [UInt8]
    /// Whether it came from `safe` or `escape`: then what is added to it with `+` is escaped for HTML, as in Python.
    var isMarkup = false

    init() { bytes = [] }
    init(_ string: String) { bytes = Array(string.utf8) }
    init(_ string: StaticString) { bytes = string.withUTF8Buffer { Array($0) } }
    /// Bytes known to be valid UTF-8.
    init(valid bytes: [UInt8]) { self.bytes = bytes }
    init(valid bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }
    /// Any bytes; what is not UTF-8 becomes U+FFFD.
    init(repairing bytes: [UInt8]) { self.bytes = Array(String(decoding: bytes, as: UTF8.self).utf8) }
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        bytes = []
        for scalar in scalars { append(scalar) }
    }

    var string: String { String(decoding: bytes, as: UTF8.self) }
    var isEmpty: Bool { bytes.isEmpty }
    var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }
    var scalars: String.UnicodeScalarView { string.unicodeScalars }

    /// Code points.
    var count: Int {
        var count = 0
        for byte in bytes where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    mutating func append(_ other: Text) { bytes.append(contentsOf: other.bytes) }
    mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.value < 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: scalar.value))
        } else {
            bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
    mutating func append(ascii: StaticString) { ascii.withUTF8Buffer { bytes.append(contentsOf: $0) } }

    static func == (a: Text, b: StaticString) -> Bool {
        b.withUTF8Buffer { buffer in buffer.count == a.bytes.count && buffer.elementsEqual(a.bytes) }
    }

    static func == (a: Text, b: Text) -> Bool { a.bytes == b.bytes }
    func hash(into hasher: inout Hasher) { hasher.combine(bytes) }

    static func < (a: Text, b: Text) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }

    /// The byte offset of every code point, and the end.
    var offsets: [Int] {
        var offsets: [Int] = []
        offsets.reserveCapacity(bytes.count + 1)
        for (offset, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 { offsets.append(offset) }
        offsets.append(bytes.count)
        return offsets
    }

    /// The code points as strings of one.
    var characters: [Text] {
        let offsets = offsets
        return (0..<(offsets.count - 1)).map { Text(valid: bytes[offsets[$0]..<offsets[$0 + 1]]) }
    }

    /// The byte offset of the first `needle` at or after `start` and ending at or before `end`.
    ///
    /// `work` grows by the bytes compared, so that the caller can charge for a quadratic search.
    func find(_ needle: Text, from start: Int = 0, to end: Int? = nil, work: inout Int) -> Int? {
        let end = end ?? bytes.count
        let length = needle.bytes.count
        guard start <= end, length <= end - start else { return nil }
        guard let first = needle.bytes.first else { return start }
        return bytes.withUnsafeBufferPointer { hay in
            needle.bytes.withUnsafeBufferPointer { needle in
                var position = start
                while position <= end - length {
                    work &+= 1
                    if hay[position] == first {
                        var matched = 1
                        while matched < length, hay[position + matched] == needle[matched] { matched += 1 }
                        work &+= matched
                        if matched == length { return position }
                    }
                    position += 1
                }
                return nil
            }
        }
    }

    func hasPrefix(_ other: Text) -> Bool { bytes.starts(with: other.bytes) }
    func hasSuffix(_ other: Text) -> Bool {
        bytes.count >= other.bytes.count && bytes[(bytes.count - other.bytes.count)...].elementsEqual(other.bytes)
    }
}

extension Unicode.Scalar {
    /// Python's `str.isspace` for one code point: what `strip` and `split` take away.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000:
            true
        default: false
        }
    }
}
