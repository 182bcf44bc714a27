internal import Synchronization

/// The sets that `\p{…}` names: general categories, and the binary properties that Swift's standard library knows.
enum UnicodeProperty {
    /// A property by the name that ECMA-262 gives it, or `General_Category=` and a category.
    static func set(named name: String) -> ScalarSet? {
        var category = Substring(name)
        for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) {
            category = category.dropFirst(prefix.count)
        }
        if let codes = categories[String(category)] {
            let indices = Set(codes.compactMap { shortNames.firstIndex(of: $0) })
            return ScalarSet(runs.filter { indices.contains($0.category) }.map(\.range))
        }
        switch name {
        case "Any": return .all
        case "ASCII": return ScalarSet([0...0x7F])
        default:
            guard let holds = binary[name] else { return nil }
            // To ask every scalar takes milliseconds, and a pattern may name a property a thousand times.
            return known.withLock { known in
                let set = known[name] ?? ScalarSet(ranges(where: holds))
                known[name] = set
                return set
            }
        }
    }

    private static let known = Mutex<[String: ScalarSet]>([:])

    private static let binary: [String: @Sendable (Unicode.Scalar.Properties) -> Bool] = [
        "Alphabetic": { $0.isAlphabetic }, "Alpha": { $0.isAlphabetic },
        "Uppercase": { $0.isUppercase }, "Upper": { $0.isUppercase },
        "Lowercase": { $0.isLowercase }, "Lower": { $0.isLowercase },
        "White_Space": { $0.isWhitespace }, "space": { $0.isWhitespace },
        "Emoji": { $0.isEmoji }, "Emoji_Presentation": { $0.isEmojiPresentation },
        "ID_Start": { $0.isIDStart }, "IDS": { $0.isIDStart },
        "ID_Continue": { $0.isIDContinue }, "IDC": { $0.isIDContinue },
        "Ideographic": { $0.isIdeographic }, "Ideo": { $0.isIdeographic },
        "Hex_Digit": { $0.isHexDigit }, "Hex": { $0.isHexDigit },
        "ASCII_Hex_Digit": { $0.isASCIIHexDigit }, "AHex": { $0.isASCIIHexDigit },
    ]

    private static let shortNames = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "Sm",
        "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]

    private static let longNames = [
        "Uppercase_Letter", "Lowercase_Letter", "Titlecase_Letter", "Modifier_Letter", "Other_Letter",
        "Nonspacing_Mark",
        "Spacing_Mark", "Enclosing_Mark", "Decimal_Number", "Letter_Number", "Other_Number", "Connector_Punctuation",
        "Dash_Punctuation", "Open_Punctuation", "Close_Punctuation", "Initial_Punctuation", "Final_Punctuation",
        "Other_Punctuation", "Math_Symbol", "Currency_Symbol", "Modifier_Symbol", "Other_Symbol", "Space_Separator",
        "Line_Separator", "Paragraph_Separator", "Control", "Format", "Surrogate", "Private_Use", "Unassigned",
    ]

    private static let groups: [(names: [String], members: String)] = [
        (["L", "Letter"], "L"), (["M", "Mark", "Combining_Mark"], "M"), (["N", "Number"], "N"),
        (["P", "Punctuation", "punct"], "P"), (["S", "Symbol"], "S"), (["Z", "Separator"], "Z"), (["C", "Other"], "C"),
    ]

    /// The short names that each name of a category stands for.
    private static let categories: [String: [String]] = {
        var table: [String: [String]] = ["digit": ["Nd"], "cntrl": ["Cc"], "LC": ["Lu", "Ll", "Lt"]]
        table["Cased_Letter"] = table["LC"]
        for (short, long) in zip(shortNames, longNames) {
            table[short] = [short]
            table[long] = [short]
        }
        for group in groups {
            for name in group.names { table[name] = shortNames.filter { $0.hasPrefix(group.members) } }
        }
        return table
    }()

    /// Stretches of scalars of one category, in order.
    private static let runs: [(range: ClosedRange<UInt32>, category: Int)] = {
        var runs: [(range: ClosedRange<UInt32>, category: Int)] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let category = index(of: scalar.properties.generalCategory)
            if let last = runs.last, last.category == category, last.range.upperBound + 1 == value {
                runs[runs.count - 1].range = last.range.lowerBound...value
            } else {
                runs.append((value...value, category))
            }
        }
        return runs
    }()

    private static func ranges(where holds: (Unicode.Scalar.Properties) -> Bool) -> [ClosedRange<UInt32>] {
        var ranges: [ClosedRange<UInt32>] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value), holds(scalar.properties) else { continue }
            if let last = ranges.last, last.upperBound + 1 == value {
                ranges[ranges.count - 1] = last.lowerBound...value
            } else {
                ranges.append(value...value)
            }
        }
        return ranges
    }

    private static func index(of category: Unicode.GeneralCategory) -> Int {
        switch category {
        case .uppercaseLetter: 0
        case .lowercaseLetter: 1
        case .titlecaseLetter: 2
        case .modifierLetter: 3
        case .otherLetter: 4
        case .nonspacingMark: 5
        case .spacingMark: 6
        case .enclosingMark: 7
        case .decimalNumber: 8
        case .letterNumber: 9
        case .otherNumber: 10
        case .connectorPunctuation: 11
        case .dashPunctuation: 12
        case .openPunctuation: 13
        case .closePunctuation: 14
        case .initialPunctuation: 15
        case .finalPunctuation: 16
        case .otherPunctuation: 17
        case .mathSymbol: 18
        case .currencySymbol: 19
        case .modifierSymbol: 20
        case .otherSymbol: 21
        case .spaceSeparator: 22
        case .lineSeparator: 23
        case .paragraphSeparator: 24
        case .control: 25
        case .format: 26
        case .surrogate: 27
        case .privateUse: 28
        case .unassigned: 29
        @unknown default: 29
        }
    }
}
