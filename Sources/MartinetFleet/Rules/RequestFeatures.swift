/// What rules may look at of a request.
package struct RequestFeatures: Sendable {
    /// Names the request; fixes weighted choices where it has no session.
    package var requestID: String
    /// Fixes weighted choices, so that a conversation stays where it began.
    package var session: String?
    /// The model or alias, as the client wrote it.
    package var model: String
    /// Who asks.
    package var tenant: String?
    /// What level of service it was sold.
    package var tier: String?
    /// What kind of work it is, such as `interactive` or `batch`.
    package var workClass: String?
    /// The prompt's tokens, or an estimate; `nil` where nothing is known, which no bound on them matches.
    package var promptTokens: Int?
    /// The most tokens that it asks for; `nil` where it sets no limit, which no bound on them matches.
    package var outputTokens: Int?
    /// The request's headers, names in lower case.
    package var headers: [String: String]
    /// When it came.
    package var time: UTCTime

    /// Describes a request.
    package init(
        requestID: String, model: String, session: String? = nil, tenant: String? = nil, tier: String? = nil,
        workClass: String? = nil, promptTokens: Int? = nil, outputTokens: Int? = nil, headers: [String: String] = [:],
        time: UTCTime = UTCTime(weekday: .mon, minute: 0)
    ) {
        self.requestID = requestID
        self.session = session
        self.model = model
        self.tenant = tenant
        self.tier = tier
        self.workClass = workClass
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.headers = headers
        self.time = time
    }
}

/// A time of the week, in UTC.
package struct UTCTime: Sendable, Hashable {
    /// A day of the week.
    package enum Weekday: String, Sendable, Hashable, CaseIterable, Decodable {
        case sun, mon, tue, wed, thu, fri, sat
    }

    /// The day.
    package var weekday: Weekday
    /// Minutes since midnight, 0..<1440.
    package var minute: Int

    /// Names a time.
    package init(weekday: Weekday, minute: Int) {
        self.weekday = weekday
        self.minute = minute
    }

    /// Converts a clock's time.
    package init(secondsSinceEpoch seconds: Int) {
        func floored(_ value: Int, _ divisor: Int) -> (quotient: Int, remainder: Int) {
            let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
            return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
        }
        let (day, second) = floored(seconds, 86_400)
        // The epoch was a Thursday.
        weekday = Weekday.allCases[floored(day % 7 + 4, 7).remainder]
        minute = second / 60
    }
}
