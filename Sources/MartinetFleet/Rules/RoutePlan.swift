/// Which pools a request may go to, and when.
package struct RoutePlan: Sendable, Hashable {
    /// A pool of a plan.
    package struct Stage: Sendable, Hashable {
        /// The pool.
        package var pool: String
        /// The failures of an earlier stage that it is for; empty for the first stage.
        package var on: Set<RouteFailure>
        /// How full the first stage's pool must be, 0...1, before this one is used for its overload.
        package var saturation: Double?
    }

    /// The rule that made it.
    package var rule: String
    /// The pools in order, at least one.
    package var stages: [Stage]
    /// Pools that get a copy.
    package var mirrors: [String]

    /// The stage to begin with.
    ///
    /// - Parameter saturation: how full a pool is, 0...1.
    package func start(saturation: (String) -> Double) -> Int {
        guard let first = stages.first, stages.contains(where: { $0.saturation != nil }) else { return 0 }
        let level = saturation(first.pool)
        return stages.firstIndex { $0.saturation.map { level >= $0 } ?? false } ?? 0
    }

    /// The stage for a request that failed before its first token; `nil` where there is none.
    ///
    /// - Parameters:
    ///   - tried: all stages where it failed, so that none gets it twice.
    ///   - failure: why it failed at the last.
    package func next(
        tried: Set<Int>, because failure: RouteFailure, saturation: (String) -> Double
    ) -> Int? {
        stages.indices.first { index in
            // One that began with an overflow pool may still go to the first.
            guard !tried.contains(index), index == 0 || stages[index].on.contains(failure) else { return false }
            guard failure == .overload, let threshold = stages[index].saturation else { return true }
            return saturation(stages[0].pool) >= threshold
        }
    }
}
