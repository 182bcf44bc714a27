/// What a rule asks of a request: all that is set must hold.
package struct RuleConditions: Sendable, Decodable {
    /// Bounds of a number, both included.
    struct Bounds: Sendable, Decodable {
        var min: Int?
        var max: Int?

        init(from decoder: any Decoder) throws {
            let keys = try StrictKeys(decoder, "min", "max")
            min = try keys.value("min", "a whole number of tokens")
            max = try keys.value("max", "a whole number of tokens")
            try keys.check(min.map { $0 >= 0 } ?? true, "min", "at least 0")
            try keys.check(max.map { $0 >= min ?? 0 } ?? true, "max", "at least min, and at least 0")
        }

        func contains(_ value: Int?) -> Bool {
            guard let value else { return false }
            return value >= min ?? .min && value <= max ?? .max
        }
    }

    /// Hours of days, in UTC.
    struct Hours: Sendable, Decodable {
        var days: Set<UTCTime.Weekday>
        var from: Int
        var until: Int

        init(from decoder: any Decoder) throws {
            let keys = try StrictKeys(decoder, "days", "from", "until")
            let form = "a day or a list of days: sun, mon, tue, wed, thu, fri, sat"
            let days = try keys.value("days", as: OneOrMany<UTCTime.Weekday>.self, form)?.values
            self.days = Set(days ?? UTCTime.Weekday.allCases)
            func minute(_ key: String, _ absent: Int) throws -> Int {
                guard let text = try keys.value(key, as: String.self, Self.timeForm) else { return absent }
                let parts = text.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isASCII) }),
                    let hour = Int(parts[0]), let minute = Int(parts[1]), (0...23).contains(hour),
                    (0...59).contains(minute)
                else {
                    // The end of the day may be written as such.
                    if key == "until", text == "24:00" { return 1440 }
                    throw keys.error(key, "must be \(Self.timeForm)")
                }
                return hour * 60 + minute
            }
            from = try minute("from", 0)
            until = try minute("until", 1440)
        }

        private static let timeForm = "a time in quotes such as \"08:30\", in UTC"

        func contains(_ time: UTCTime) -> Bool {
            guard days.contains(time.weekday) else { return false }
            // From the evening into the morning, where they are the other way round.
            return from <= until
                ? time.minute >= from && time.minute < until : time.minute >= from || time.minute < until
        }
    }

    private var model: [String]?
    private var tenant: [String]?
    private var tier: [String]?
    private var workClass: [String]?
    private var headers: [String: [String]] = [:]
    private var promptTokens: Bounds?
    private var outputTokens: Bounds?
    private var hours: Hours?

    /// Conditions that every request meets.
    init() {}

    package init(from decoder: any Decoder) throws {
        let keys = try StrictKeys(
            decoder, "model", "tenant", "tier", "class", "prompt_tokens", "max_tokens", "headers", "time")
        func texts(_ key: String) throws -> [String]? {
            let values = try keys.value(key, as: OneOrMany<String>.self, "a text or a list of texts")?.values
            try keys.check(values?.isEmpty != true, key, "a text or a list of at least one")
            return values
        }
        model = try texts("model")
        tenant = try texts("tenant")
        tier = try texts("tier")
        workClass = try texts("class")
        promptTokens = try keys.value("prompt_tokens", "a mapping with min, max or both")
        outputTokens = try keys.value("max_tokens", "a mapping with min, max or both")
        let form = "a mapping of header names to a text or a list of texts"
        let headers = try keys.value("headers", as: [String: OneOrMany<String>].self, form) ?? [:]
        for (name, texts) in headers { self.headers[name.lowercased()] = texts.values }
        hours = try keys.value("time", "a mapping with days, from and until")
    }

    /// Whether a request meets them.
    package func match(_ features: RequestFeatures) -> Bool {
        func matches(_ patterns: [String]?, _ value: String?) -> Bool {
            guard let patterns else { return true }
            guard let value else { return false }
            return patterns.contains { pattern in
                pattern.hasSuffix("*") ? value.hasPrefix(pattern.dropLast()) : value == pattern
            }
        }
        return matches(model, features.model) && matches(tenant, features.tenant) && matches(tier, features.tier)
            && matches(workClass, features.workClass)
            && headers.allSatisfy { matches($0.value, features.headers[$0.key]) }
            && promptTokens?.contains(features.promptTokens) ?? true
            && outputTokens?.contains(features.outputTokens) ?? true && hours?.contains(features.time) ?? true
    }
}
