import Foundation
import MartinetEngine
import MartinetFleet
import Testing

@Suite struct RoutingTableTests {
    private func table(_ json: String) throws -> RoutingTable {
        try JSONDecoder().decode(RoutingTable.self, from: Data(json.utf8))
    }

    private static func features(_ change: (inout RequestFeatures) -> Void = { _ in }) -> RequestFeatures {
        var features = RequestFeatures(
            requestID: "r1", model: "llama-8b", tenant: "acme", tier: "gold", workClass: "interactive",
            promptTokens: 100, outputTokens: 50, headers: ["x-team": "search"],
            time: UTCTime(weekday: .tue, minute: 9 * 60))
        change(&features)
        return features
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var when: String
        var matches: Bool
        var features = RoutingTableTests.features()
        var testDescription: String { "\(when) \(matches)" }
    }

    @Test(arguments: [
        Case(when: "{}", matches: true),
        Case(when: #"{"model": "llama-8b"}"#, matches: true),
        Case(when: #"{"model": ["gpt", "llama-*"]}"#, matches: true),
        Case(when: #"{"model": "llama"}"#, matches: false),
        Case(when: #"{"tenant": "acme", "tier": "silver"}"#, matches: false),
        Case(when: #"{"tenant": "acme", "tier": ["silver", "gold"], "class": "interactive"}"#, matches: true),
        Case(when: #"{"tenant": "*"}"#, matches: false, features: features { $0.tenant = nil }),
        Case(when: #"{"prompt_tokens": {"min": 100, "max": 100}}"#, matches: true),
        Case(when: #"{"prompt_tokens": {"min": 101}}"#, matches: false),
        Case(when: #"{"prompt_tokens": {"max": 99}}"#, matches: false),
        Case(when: #"{"prompt_tokens": {"max": 99}}"#, matches: false, features: features { $0.promptTokens = nil }),
        Case(when: #"{"max_tokens": {"max": 64}}"#, matches: true),
        Case(when: #"{"headers": {"X-Team": "search"}}"#, matches: true),
        Case(when: #"{"headers": {"x-team": ["ads", "sea*"]}}"#, matches: true),
        Case(when: #"{"headers": {"x-team": "*", "x-other": "*"}}"#, matches: false),
        Case(when: #"{"time": {"from": "08:30", "until": "09:01"}}"#, matches: true),
        Case(when: #"{"time": {"from": "09:01"}}"#, matches: false),
        Case(when: #"{"time": {"until": "09:00"}}"#, matches: false),
        Case(when: #"{"time": {"days": ["mon", "tue"], "until": "24:00"}}"#, matches: true),
        Case(when: #"{"time": {"days": "sat"}}"#, matches: false),
        Case(when: #"{"time": {"from": "22:00", "until": "10:00"}}"#, matches: true),
        Case(when: #"{"time": {"from": "22:00", "until": "06:00"}}"#, matches: false),
    ])
    func conditionsAllHold(_ test: Case) throws {
        let table = try table(#"[{"name": "one", "when": \#(test.when), "to": "local"}]"#)
        #expect((table.plan(for: test.features) != nil) == test.matches)
    }

    @Test func theFirstRuleThatMatchesCounts() throws {
        let table = try table(
            """
            [{"name": "long", "when": {"prompt_tokens": {"min": 1000}}, "to": "big"},
             {"name": "acme", "when": {"tenant": "acme"}, "to": "small"},
             {"name": "rest", "to": "any"}]
            """)
        #expect(table.plan(for: Self.features { $0.promptTokens = 5000 })?.rule == "long")
        #expect(table.plan(for: Self.features())?.stages.map(\.pool) == ["small"])
        #expect(table.plan(for: Self.features { $0.tenant = "other" })?.rule == "rest")
    }

    @Test func weightsAndMirrorsTakeTheirShareAndTheSameSessionTheSame() throws {
        let table = try table(
            """
            [{"name": "canary", "to": [{"pool": "old", "weight": 90}, {"pool": "new", "weight": 10},
                                       {"pool": "off", "weight": 0}],
              "mirrors": [{"pool": "shadow", "share": 0.2}, "all"]}]
            """)
        var counts: [String: Int] = [:]
        for index in 0..<5000 {
            let plan = try #require(table.plan(for: Self.features { $0.requestID = "request-\(index)" }))
            counts[plan.stages[0].pool, default: 0] += 1
            #expect(plan.stages.count == 2)
            #expect(plan.stages[1].on == [.unavailable])
            #expect(plan.mirrors.contains("all"))
            if plan.mirrors.contains("shadow") { counts["shadow", default: 0] += 1 }
            let session = Self.features { ($0.requestID, $0.session) = ("request-\(index)", "session") }
            let again = Self.features { ($0.requestID, $0.session) = ("other", "session") }
            #expect(table.plan(for: session) == table.plan(for: again))
        }
        #expect((420...580).contains(counts["new", default: 0]), "\(counts)")
        #expect((880...1120).contains(counts["shadow", default: 0]), "\(counts)")
        #expect(counts["off"] == nil)
    }

    @Test func fallbacksComeInOrderAndForTheirCauses() throws {
        let table = try table(
            """
            [{"name": "one", "to": "local", "fallbacks": [
                {"pool": "long", "on": "context_too_long"}, {"pool": "cloud", "saturation": 0.8},
                {"pool": "other", "on": ["unavailable", "error"]}, "last"]}]
            """)
        let plan = try #require(table.plan(for: Self.features()))
        let idle: (String) -> Double = { _ in 0.1 }
        let full: (String) -> Double = { $0 == "local" ? 0.9 : 0 }
        func pool(_ index: Int?) -> String? { index.map { plan.stages[$0].pool } }
        #expect(pool(plan.start(saturation: idle)) == "local")
        #expect(pool(plan.start(saturation: full)) == "cloud")
        #expect(pool(plan.next(tried: [0], because: .contextTooLong, saturation: idle)) == "long")
        #expect(pool(plan.next(tried: [0], because: .unavailable, saturation: full)) == "other")
        #expect(pool(plan.next(tried: [0], because: .overload, saturation: full)) == "cloud")
        #expect(pool(plan.next(tried: [0], because: .overload, saturation: idle)) == "last")
        #expect(pool(plan.next(tried: [0, 3], because: .error, saturation: idle)) == "last")
        // Where it began with the overflow, the first is still there.
        #expect(pool(plan.next(tried: [2], because: .error, saturation: full)) == "local")
        #expect(plan.next(tried: [0, 4], because: .overload, saturation: idle) == nil)
        #expect(plan.next(tried: [0, 1, 2, 3, 4], because: .error, saturation: idle) == nil)
    }

    @Test(arguments: [
        (#"{"name": "a"}"#, "must be a list of rules"),
        (#"[{"to": "p"}]"#, "[0].name: is missing"),
        (#"[{"name": "a"}]"#, "[0].to: is missing; it must be a pool or a list of pools"),
        (#"[{"name": "a", "to": "p", "colour": 1}]"#, "[0].colour: is not known; known here: name, when"),
        (
            #"[{"name": "a", "to": "p"}, {"name": "b", "to": "p", "when": {"modell": "x"}}]"#,
            "[1].when.modell: is not known"
        ),
        (#"[{"name": "a", "to": "p", "when": []}]"#, "[0].when: must be a mapping"),
        (#"[{"name": "a", "to": "p", "when": {"model": 7}}]"#, "[0].when.model: must be a text"),
        (#"[{"name": "a", "to": "p", "when": {"model": []}}]"#, "[0].when.model: must be a text"),
        (
            #"[{"name": "a", "to": "p", "when": {"prompt_tokens": {"min": -1}}}]"#,
            "[0].when.prompt_tokens.min: must be at least 0"
        ),
        (
            #"[{"name": "a", "to": "p", "when": {"prompt_tokens": {"min": 5, "max": 4}}}]"#,
            "[0].when.prompt_tokens.max: must be"
        ),
        (
            #"[{"name": "a", "to": "p", "when": {"max_tokens": {"min": "x"}}}]"#,
            "[0].when.max_tokens.min: must be a whole number"
        ),
        (#"[{"name": "a", "to": "p", "when": {"time": {"from": "8:30"}}}]"#, "[0].when.time.from: must be a time"),
        (#"[{"name": "a", "to": "p", "when": {"time": {"from": "24:00"}}}]"#, "[0].when.time.from: must be a time"),
        (#"[{"name": "a", "to": "p", "when": {"time": {"until": "12:60"}}}]"#, "[0].when.time.until: must be a time"),
        (#"[{"name": "a", "to": "p", "when": {"time": {"days": "monday"}}}]"#, "[0].when.time.days: must be a day"),
        (#"[{"name": "a", "to": "p", "when": {"headers": "x"}}]"#, "[0].when.headers: must be a mapping"),
        (#"[{"name": "a", "to": [{"pool": "p", "weight": -1}]}]"#, "[0].to[0].weight: must be from 0"),
        (#"[{"name": "a", "to": [{"pool": "p", "weight": 0}]}]"#, "[0].to: must be at least one pool"),
        (#"[{"name": "a", "to": []}]"#, "[0].to: must be at least one pool"),
        (#"[{"name": "a", "to": [{"pol": "p"}]}]"#, "[0].to[0].pol: is not known"),
        (
            #"[{"name": "a", "to": "p", "mirrors": [{"pool": "p", "share": 2}]}]"#,
            "[0].mirrors[0].share: must be from 0 to 1"
        ),
        (
            #"[{"name": "a", "to": "p", "fallbacks": {"pool": "p", "on": "rain"}}]"#,
            "[0].fallbacks.on: must be one or a list of"
        ),
        (
            #"[{"name": "a", "to": "p", "fallbacks": [{"pool": "p", "saturation": 1.5}]}]"#,
            "[0].fallbacks[0].saturation: must be"
        ),
    ])
    func whatIsWrongIsNamed(json: String, message: String) throws {
        let error = #expect(throws: DecodingError.self) { try table(json) }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains(message), "\(context.debugDescription)")
    }

    @Test func poolsMustBeThere() throws {
        let table = try table(
            #"[{"name": "a", "to": "p", "mirrors": "m", "fallbacks": ["p", {"pool": "q"}]}, {"name": "a", "to": "p"}]"#)
        let pool = #expect(throws: EngineError.self) { try table.validate(pools: ["p", "m"]) }
        #expect(pool?.message == "rules[0].fallbacks[1]: there is no pool q (rule a). Pools are: m, p.")
        let name = #expect(throws: EngineError.self) { try table.validate(pools: ["p", "q", "m"]) }
        #expect(name?.message == "rules[1].name: a names another rule already.")
    }

    @Test(arguments: [
        (0, UTCTime.Weekday.thu, 0), (59, .thu, 0), (60, .thu, 1), (86_399, .thu, 1439), (86_400, .fri, 0),
        (-1, .wed, 1439), (1_700_000_000, .tue, 1333), (Int.max, .sun, 930), (Int.min, .sun, 509),
    ])
    func clocksAreRead(seconds: Int, weekday: UTCTime.Weekday, minute: Int) {
        let time = UTCTime(secondsSinceEpoch: seconds)
        #expect(time == UTCTime(weekday: weekday, minute: minute))
    }
}
