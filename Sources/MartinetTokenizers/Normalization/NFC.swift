// The normalisation that String comparison itself uses. It is the standard library's system interface and the one
// that Foundation's own sources use: Foundation's public `precomposedStringWithCanonicalMapping` is thirty times
// slower on Linux and composes some Hangul sequences wrongly (it joins a trailing consonant across a syllable).
@_spi(_Unicode) import Swift

/// Unicode normalisation form C (Unicode Standard Annex #15).
package enum NFC {
    /// Whether every scalar is below U+0300, which is then normalised as it stands.
    package static func isTriviallyNormalized(_ utf8: some Sequence<UInt8>) -> Bool {
        utf8.allSatisfy { $0 < 0xcc }
    }

    /// The text in form C.
    package static func normalize(_ bytes: [UInt8]) -> [UInt8] {
        if isTriviallyNormalized(bytes) { return bytes }
        var scalars = String.UnicodeScalarView()
        scalars.append(contentsOf: String(decoding: bytes, as: UTF8.self)._nfc)
        return Array(String(scalars).utf8)
    }
}
