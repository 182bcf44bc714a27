extension Text {
    /// The code point that starts at a byte offset, and its length.
    static func scalar(_ bytes: [UInt8], at offset: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let first = bytes[offset]
        guard first >= 0x80 else { return (Unicode.Scalar(first), 1) }
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard offset + length <= bytes.count else { return ("\u{FFFD}", 1) }
        var value = UInt32(first) & (length == 2 ? 0x1F : length == 3 ? 0x0F : 0x07)
        for byte in bytes[(offset + 1)..<(offset + length)] { value = value << 6 | UInt32(byte & 0x3F) }
        return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
    }

    /// The first offset in `range` behind code points that `drop` accepts.
    static func skip(_ bytes: [UInt8], _ range: Range<Int>, while drop: (Unicode.Scalar) -> Bool) -> Int {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let (scalar, length) = scalar(bytes, at: offset)
            guard drop(scalar) else { break }
            offset += length
        }
        return min(offset, range.upperBound)
    }

    /// The offset in `range` at which trailing code points that `drop` accepts begin.
    static func skipBack(_ bytes: [UInt8], _ range: Range<Int>, while drop: (Unicode.Scalar) -> Bool) -> Int {
        var end = range.upperBound
        while end > range.lowerBound {
            var start = end - 1
            while start > range.lowerBound, bytes[start] & 0xC0 == 0x80 { start -= 1 }
            guard drop(scalar(bytes, at: start).scalar) else { break }
            end = start
        }
        return end
    }

    /// Python's `strip`, `lstrip` and `rstrip`; `nil` strips white space.
    func stripped(_ characters: Text? = nil, start: Bool = true, end: Bool = true) -> Text {
        let set = characters.map { Set($0.scalars) }
        let drop: (Unicode.Scalar) -> Bool = { set?.contains($0) ?? $0.isPythonSpace }
        let from = start ? Self.skip(bytes, 0..<bytes.count, while: drop) : 0
        let to = end ? Self.skipBack(bytes, from..<bytes.count, while: drop) : bytes.count
        if from == 0, to == bytes.count { return self }
        return Text(valid: bytes[from..<to])
    }
}
