/// Why a request goes on to another pool; each before the first token.
package enum RouteFailure: String, Sendable, Hashable, CaseIterable, Decodable {
    /// No member of the pool can be reached.
    case unavailable
    /// The pool's queue is full.
    case overload
    /// Prompt and output do not fit the pool's model.
    case contextTooLong = "context_too_long"
    /// Anything else failed.
    case error
}

/// Sends the requests that meet its conditions to pools.
package struct RoutingRule: Sendable, Decodable {
    /// A pool that gets a part of the requests.
    struct Target: Sendable, Decodable {
        var pool: String
        var weight: Double

        init(from decoder: any Decoder) throws {
            if let pool = try? decoder.singleValueContainer().decode(String.self) {
                (self.pool, weight) = (pool, 1)
                return
            }
            let keys = try StrictKeys(decoder, "pool", "weight")
            pool = try keys.required("pool", "the name of a pool")
            weight = try keys.value("weight", "a number") ?? 1
            try keys.check((0...1e6).contains(weight), "weight", "from 0 to 1000000")
        }
    }

    /// A pool that gets copies of requests, whose answers nobody sees.
    struct Mirror: Sendable, Decodable {
        var pool: String
        var share: Double

        init(from decoder: any Decoder) throws {
            if let pool = try? decoder.singleValueContainer().decode(String.self) {
                (self.pool, share) = (pool, 1)
                return
            }
            let keys = try StrictKeys(decoder, "pool", "share")
            pool = try keys.required("pool", "the name of a pool")
            share = try keys.value("share", "a number") ?? 1
            try keys.check((0...1).contains(share), "share", "from 0 to 1")
        }
    }

    /// A pool for requests that the one before did not take.
    struct Fallback: Sendable, Decodable {
        var pool: String
        var on: Set<RouteFailure>
        var saturation: Double?

        init(from decoder: any Decoder) throws {
            if let pool = try? decoder.singleValueContainer().decode(String.self) {
                (self.pool, on) = (pool, Set(RouteFailure.allCases))
                return
            }
            let keys = try StrictKeys(decoder, "pool", "on", "saturation")
            pool = try keys.required("pool", "the name of a pool")
            saturation = try keys.value("saturation", "a number")
            try keys.check(saturation.map { (0...1).contains($0) } ?? true, "saturation", "from 0 to 1")
            let names = RouteFailure.allCases.map(\.rawValue).joined(separator: ", ")
            let on = try keys.value("on", as: OneOrMany<RouteFailure>.self, "one or a list of \(names)")?.values
            self.on = Set(on ?? (saturation == nil ? RouteFailure.allCases : [.overload]))
        }
    }

    /// Names it in logs and metrics.
    package let name: String
    let conditions: RuleConditions
    let targets: [Target]
    let mirrors: [Mirror]
    let fallbacks: [Fallback]

    package init(from decoder: any Decoder) throws {
        let keys = try StrictKeys(decoder, "name", "when", "to", "mirrors", "fallbacks")
        name = try keys.required("name", "a text")
        conditions = try keys.value("when", "a mapping of conditions") ?? RuleConditions()
        targets = try keys.required("to", as: OneOrMany<Target>.self, "a pool or a list of pools").values
        mirrors = try keys.value("mirrors", as: OneOrMany<Mirror>.self, "a pool or a list of pools")?.values ?? []
        fallbacks = try keys.value("fallbacks", as: OneOrMany<Fallback>.self, "a pool or a list of pools")?.values ?? []
        try keys.check(targets.contains { $0.weight > 0 }, "to", "at least one pool with a weight above 0")
    }

    /// All pools it names, with where it does.
    var pools: [(path: String, pool: String)] {
        targets.enumerated().map { ("to[\($0.offset)]", $0.element.pool) }
            + mirrors.enumerated().map { ("mirrors[\($0.offset)]", $0.element.pool) }
            + fallbacks.enumerated().map { ("fallbacks[\($0.offset)]", $0.element.pool) }
    }

    /// The plan for a request that meets its conditions.
    func plan(for features: RequestFeatures) -> RoutePlan {
        // The same session, or else the same request, has the same share of each rule.
        func share(_ purpose: String) -> Double {
            var hash = StableHash()
            hash.add(purpose)
            hash.add(name)
            hash.add(features.session ?? features.requestID)
            return Double(hash.value >> 11) * 0x1p-53
        }
        var point = share("to") * targets.reduce(0) { $0 + $1.weight }
        let chosen =
            targets.firstIndex { target in
                point -= target.weight
                return point < 0
            } ?? targets.lastIndex { $0.weight > 0 } ?? 0
        var stages = [RoutePlan.Stage(pool: targets[chosen].pool, on: [], saturation: nil)]
        // A canary that is down costs nobody an answer.
        for (index, target) in targets.enumerated() where index != chosen && target.weight > 0 {
            stages.append(.init(pool: target.pool, on: [.unavailable], saturation: nil))
        }
        stages += fallbacks.map { .init(pool: $0.pool, on: $0.on, saturation: $0.saturation) }
        return RoutePlan(
            rule: name, stages: stages,
            mirrors: mirrors.filter { share("mirror \($0.pool)") < $0.share }.map(\.pool))
    }
}
