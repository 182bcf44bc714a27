/// GPT-2's mapping of bytes to printable characters, by which vocabularies spell arbitrary bytes: printable Latin-1
/// stands for itself, the other 68 bytes for U+0100 onwards, in order.
package enum ByteLevelAlphabet {
    /// The character of each byte.
    package static let characters: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255).map { (byte: UInt32) in
            let printable = (0x21...0x7e).contains(byte) || (0xa1...0xac).contains(byte) || byte >= 0xae
            if printable { return Unicode.Scalar(UInt8(byte)) }
            next += 1
            return Unicode.Scalar(next - 1) ?? "?"
        }
    }()

    /// The byte of each character below U+0144, or -1.
    private static let bytes: [Int16] = {
        var bytes = [Int16](repeating: -1, count: 0x144)
        for (byte, character) in characters.enumerated() { bytes[Int(character.value)] = Int16(byte) }
        return bytes
    }()

    /// The bytes that a spelling stands for; a spelling with characters outside the alphabet stands for itself.
    package static func decode(_ spelling: String) -> [UInt8] {
        var result: [UInt8] = []
        for scalar in spelling.unicodeScalars {
            guard scalar.value < 0x144, case let byte = bytes[Int(scalar.value)], byte >= 0 else {
                return Array(spelling.utf8)
            }
            result.append(UInt8(truncatingIfNeeded: byte))
        }
        return result
    }
}
