package import MartinetEngine

/// The rules that choose a pool for a request: the first whose conditions it meets.
package struct RoutingTable: Sendable, Decodable {
    /// The rules, in order.
    package let rules: [RoutingRule]

    /// A list of rules.
    package init(from decoder: any Decoder) throws {
        do {
            rules = try decoder.singleValueContainer().decode([RoutingRule].self)
        } catch DecodingError.typeMismatch {
            throw StrictKeys.error(decoder.codingPath, "must be a list of rules")
        }
    }

    /// Checks the rules against the pools that there are.
    ///
    /// - Throws: ``EngineError`` that says where a pool is named that is not there, or a rule like another.
    package func validate(pools: Set<String>) throws(EngineError) {
        var names: Set<String> = []
        for (index, rule) in rules.enumerated() {
            guard names.insert(rule.name).inserted else {
                throw EngineError(.invalidParameter, "rules[\(index)].name: \(rule.name) names another rule already.")
            }
            for (path, pool) in rule.pools where !pools.contains(pool) {
                let known = pools.sorted().joined(separator: ", ")
                throw EngineError(
                    .invalidParameter,
                    "rules[\(index)].\(path): there is no pool \(pool) (rule \(rule.name)). Pools are: \(known).")
            }
        }
    }

    /// The plan of the first rule that a request meets; `nil` where it meets none.
    package func plan(for features: RequestFeatures) -> RoutePlan? {
        rules.first { $0.conditions.match(features) }?.plan(for: features)
    }
}
