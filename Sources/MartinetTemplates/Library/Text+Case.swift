extension Unicode.Scalar {
    /// Python's `str.isalpha` for one code point: the letter categories.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    private var isTitlecaseLetter: Bool { properties.generalCategory == .titlecaseLetter }
    var isCased: Bool { properties.isUppercase || properties.isLowercase || isTitlecaseLetter }
    var isUpperOrTitle: Bool { properties.isUppercase || isTitlecaseLetter }
}

extension Text {
    func uppercased() -> Text {
        if isASCII { return Text(valid: bytes.map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 }) }
        return Text(string.uppercased())
    }

    func lowercased() -> Text {
        if isASCII { return Text(valid: bytes.map { (0x41...0x5A).contains($0) ? $0 + 32 : $0 }) }
        let scalars = Array(scalars)
        var result = Text()
        for (position, scalar) in scalars.enumerated() {
            if scalar == "Σ" {
                result.append(Self.isFinalSigma(scalars, position) ? "ς" : "σ")
            } else {
                result.append(Text(scalar.properties.lowercaseMapping))
            }
        }
        return result
    }

    /// Whether a sigma ends its word: a cased letter before it and none behind it.
    private static func isFinalSigma(_ scalars: [Unicode.Scalar], _ position: Int) -> Bool {
        let before = scalars[..<position].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(position + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.isCased ?? false && !(after?.isCased ?? false)
    }

    private static func titlecased(_ scalar: Unicode.Scalar) -> Text { Text(scalar.properties.titlecaseMapping) }

    func capitalized() -> Text {
        guard let first = scalars.first else { return self }
        var result = Self.titlecased(first)
        result.append(Text(scalars.dropFirst()).lowercased())
        return result
    }

    func titlecased() -> Text {
        var result = Text()
        var isInside = false
        for scalar in scalars {
            result.append(isInside ? Text(scalar.properties.lowercaseMapping) : Self.titlecased(scalar))
            isInside = scalar.isCased
        }
        return result
    }

    func swappedCase() -> Text {
        var result = Text()
        for scalar in scalars {
            let properties = scalar.properties
            result.append(
                Text(
                    properties.isUppercase
                        ? properties.lowercaseMapping
                        : properties.isLowercase ? properties.uppercaseMapping : String(scalar)))
        }
        return result
    }

    var isUppercase: Bool {
        scalars.contains(where: \.properties.isUppercase)
            && !scalars.contains { $0.isCased && !$0.properties.isUppercase }
    }

    var isLowercase: Bool {
        scalars.contains(where: \.properties.isLowercase)
            && !scalars.contains { $0.isCased && !$0.properties.isLowercase }
    }

    var isTitlecase: Bool {
        var wasCased = false
        var found = false
        for scalar in scalars {
            if scalar.isUpperOrTitle {
                if wasCased { return false }
                found = true
            } else if scalar.properties.isLowercase, !wasCased {
                return false
            }
            wasCased = scalar.isCased
        }
        return found
    }
}
