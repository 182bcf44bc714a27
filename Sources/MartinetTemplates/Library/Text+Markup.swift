extension Text {
    /// Jinja2's `title`: the first letter behind white space, a hyphen or an opening bracket is a capital.
    func wordsCapitalized() -> Text {
        var result = Text()
        var startsWord = true
        for scalar in scalars {
            let separates = scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar)
            if separates {
                result.append(scalar)
            } else {
                let properties = scalar.properties
                result.append(Text(startsWord ? properties.uppercaseMapping : properties.lowercaseMapping))
            }
            startsWord = separates
        }
        return result
    }

    /// `&`, `<`, `>` and quotes as HTML references.
    func escapedForHTML() -> Text {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "&"): result.append(contentsOf: "&amp;".utf8)
            case UInt8(ascii: "<"): result.append(contentsOf: "&lt;".utf8)
            case UInt8(ascii: ">"): result.append(contentsOf: "&gt;".utf8)
            case UInt8(ascii: "'"): result.append(contentsOf: "&#39;".utf8)
            case UInt8(ascii: "\""): result.append(contentsOf: "&#34;".utf8)
            default: result.append(byte)
            }
        }
        return Text(valid: result)
    }

    /// Percent-encoding of all but letters, digits and `_.-~/`.
    func encodedForURL() -> Text {
        var result: [UInt8] = []
        for byte in bytes {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                result.append(byte)
            default: result.append(contentsOf: ("%" + hexadecimal(UInt32(byte), 2).uppercased()).utf8)
            }
        }
        return Text(valid: result)
    }

    /// Without what stands between angle brackets, and with single spaces.
    func withoutTags() -> Text {
        var kept: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "<"), let end = bytes[offset...].firstIndex(of: UInt8(ascii: ">")) {
                offset = end + 1
            } else {
                if bytes[offset] == UInt8(ascii: "<") {
                    kept.append(contentsOf: bytes[offset...])
                    break
                }
                kept.append(bytes[offset])
                offset += 1
            }
        }
        for (reference, plain) in [
            ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#34;", "\""), ("&amp;", "&"),
        ] {
            kept = Array(
                Text(valid: kept).string.split(separator: reference, omittingEmptySubsequences: false)
                    .joined(separator: plain).utf8)
        }
        var result = Text()
        var wasSpace = false
        for scalar in Text(valid: kept).stripped().scalars {
            if scalar.isPythonSpace {
                wasSpace = true
                continue
            }
            if wasSpace { result.append(" ") }
            wasSpace = false
            result.append(scalar)
        }
        return result
    }

    /// Runs of letters, digits and underscores.
    var wordCount: Int {
        var count = 0
        var isInside = false
        for scalar in scalars {
            let isWord = scalar == "_" || scalar.isLetter || scalar.properties.numericType != nil
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }
}
