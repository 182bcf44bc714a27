/// The formats of strings that are supported, as regular languages. All of them are assertions here.
enum StringFormat {
    /// Formats of whole numbers that OpenAPI knows, with their bounds.
    static let integerBounds: [String: (lowest: DecimalNumber, highest: DecimalNumber)] = [
        "int32": (DecimalNumber(Int(Int32.min)), DecimalNumber(Int(Int32.max))),
        "int64": (DecimalNumber(Int.min), DecimalNumber(Int.max)),
        "uint32": (DecimalNumber(0), DecimalNumber(Int(UInt32.max))),
    ]
    /// Formats of OpenAPI that every number has.
    static let wideNumbers: Set<String> = ["float", "double"]

    /// The language of a format; `nil` for names that are not known.
    static func language(named name: String, _ effort: Effort) throws(GrammarError) -> RegularLanguage? {
        switch name {
        case "hostname":
            let lengths = try RegularLanguage(minimumLength: 1, maximumLength: 253, effort)
            return try RegularLanguage(whole: hostname, effort).intersection(lengths, effort)
        default:
            guard let pattern = patterns[name] else { return nil }
            return try RegularLanguage(whole: pattern, effort)
        }
    }

    private static let patterns: [String: String] = [
        "date": date, "time": time, "date-time": "(\(date))[Tt](\(time))", "duration": duration,
        "email": "(\(mailbox()))@(\(mailDomain))",
        "idn-email": "(\(mailbox(more: #"\u{80}-\u{10FFFF}"#)))@(\(mailDomain)|\(internationalHostname))",
        "ipv4": ipv4, "ipv6": ipv6,
        "uri": uri(), "uri-reference": "\(uri())|\(relative())",
        "iri": uri(more: international),
        "iri-reference": "\(uri(more: international))|\(relative(more: international))",
        "uri-template": uriTemplate,
        "uuid": "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "json-pointer": pointer, "relative-json-pointer": "(0|[1-9][0-9]*)(#|\(pointer))",
    ]

    // RFC 3339. The last day of February depends on the year alone.
    private static let leapYear =
        "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
    private static let date =
        "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
        + "|02-(0[1-9]|1[0-9]|2[0-8]))|\(leapYear)-02-29"
    private static let time =
        "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])|\(leapSecond)"
    /// Second 60 where it is 23:59 in UTC, for offsets of whole half hours.
    private static let leapSecond: String = {
        func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        func clock(_ minutes: Int) -> String { "\(twoDigits(minutes / 60)):\(twoDigits(minutes % 60))" }
        var forms: [String] = ["23:59:60(\\.[0-9]+)?[Zz]"]
        for offset in stride(from: 0, to: 1440, by: 30) {
            forms.append("\(clock((1439 + offset) % 1440)):60(\\.[0-9]+)?\\+\(clock(offset))")
            forms.append("\(clock((1439 - offset + 1440) % 1440)):60(\\.[0-9]+)?-\(clock(offset))")
        }
        return forms.joined(separator: "|")
    }()
    // RFC 3339, appendix A.
    private static let duration: String = {
        let time = "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
        let date = "([0-9]+D|[0-9]+M([0-9]+D)?|[0-9]+Y([0-9]+M([0-9]+D)?)?)"
        return "P(\(date)(\(time))?|\(time)|[0-9]+W)"
    }()

    // RFC 1123.
    private static let label = "[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
    private static let hostname = "\(label)(\\.\(label))*"
    private static let internationalHostname = #"[0-9A-Za-z\u{80}-\u{10FFFF}-]+(\.[0-9A-Za-z\u{80}-\u{10FFFF}-]+)*"#

    // RFC 5321.
    private static func mailbox(more: String = "") -> String {
        let atom = "[0-9A-Za-z!#$%&'*+/=?^_`{|}~\(more)-]+"
        return "\(atom)(\\.\(atom))*|\"([ !#-\\[\\]-~\(more)]|\\\\[ -~])*\""
    }
    private static let mailDomain = "\(hostname)|\\[(\(ipv4))\\]|\\[IPv6:(\(ipv6))\\]"

    private static let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    private static let ipv4 = "\(byte)(\\.\(byte)){3}"
    /// The nine forms of RFC 3986, by how many groups stand before the `::`.
    private static let ipv6: String = {
        let group = "[0-9A-Fa-f]{1,4}"
        let tail = "(\(group):\(group)|\(ipv4))"
        return [
            "(\(group):){6}\(tail)", "::(\(group):){5}\(tail)", "(\(group))?::(\(group):){4}\(tail)",
            "((\(group):){0,1}\(group))?::(\(group):){3}\(tail)", "((\(group):){0,2}\(group))?::(\(group):){2}\(tail)",
            "((\(group):){0,3}\(group))?::\(group):\(tail)", "((\(group):){0,4}\(group))?::\(tail)",
            "((\(group):){0,5}\(group))?::\(group)", "((\(group):){0,6}\(group))?::",
        ].joined(separator: "|")
    }()

    // RFC 3986 and RFC 3987.
    private static let international =
        #"\u{A0}-\u{D7FF}\u{F900}-\u{FDCF}\u{FDF0}-\u{FFEF}\u{10000}-\u{1FFFD}\u{20000}-\u{DFFFD}\u{E1000}-\u{EFFFD}"#
    private static func character(_ also: String, _ more: String) -> String {
        "([0-9A-Za-z._~!$&'()*+,;=\(also)\(more)-]|%[0-9A-Fa-f]{2})"
    }
    private static func authority(_ more: String) -> String {
        let host = "\\[((\(ipv6))|[vV][0-9A-Fa-f]+\\.[0-9A-Za-z._~!$&'()*+,;=:-]+)\\]|\(character("", more))*"
        return "(\(character(":", more))*@)?(\(host))(:[0-9]*)?"
    }
    private static func ending(_ more: String) -> String {
        "(\\?\(character(":@/?", more))*)?(#\(character(":@/?", more))*)?"
    }
    private static func uri(more: String = "") -> String {
        let segment = character(":@", more)
        return "[A-Za-z][0-9A-Za-z+.-]*:(//\(authority(more))(/\(segment)*)*|/(\(segment)+(/\(segment)*)*)?"
            + "|\(segment)+(/\(segment)*)*|)\(ending(more))"
    }
    private static func relative(more: String = "") -> String {
        let segment = character(":@", more)
        return "(//\(authority(more))(/\(segment)*)*|/(\(segment)+(/\(segment)*)*)?"
            + "|\(character("@", more))+(/\(segment)*)*|)\(ending(more))"
    }

    // RFC 6570.
    private static let uriTemplate: String = {
        let name = "([0-9A-Za-z_]|%[0-9A-Fa-f]{2})(\\.?([0-9A-Za-z_]|%[0-9A-Fa-f]{2}))*"
        let variable = "\(name)(:[1-9][0-9]{0,3}|\\*)?"
        let literal = #"([!#$&(-;=?-\[\]_a-z~\u{A0}-\u{10FFFF}]|%[0-9A-Fa-f]{2})"#
        return "(\(literal)|\\{[+#./;?&=,!@|]?\(variable)(,\(variable))*\\})*"
    }()

    // RFC 6901.
    private static let pointer = #"(/([^~/]|~[01])*)*"#
}
