import MartinetFleet
import Testing

@Suite struct RetryTests {
    /// Requests, share, floor and how many retries they allow at once.
    @Test(arguments: [
        (0, 0.2, 1.0, 10), (0, 0.2, 0.0, 0), (100, 0.2, 0.0, 20), (100, 0.2, 1.0, 30), (100, 0.0, 0.0, 0),
        (3, 0.1, 0.1, 1),
    ]) func theBudgetHolds(requests: Int, share: Double, floor: Double, retries: Int) {
        var budget = RetryBudget(RetryBudget.Settings(share: share, floor: floor))
        let now = ContinuousClock.now
        for _ in 0..<requests { budget.recordRequest(now: now) }
        var taken = 0
        while taken < 1000, budget.take(now: now) { taken += 1 }
        #expect(taken == retries)
    }

    @Test func theBudgetComesBack() {
        var budget = RetryBudget(RetryBudget.Settings(share: 0, floor: 0.1))
        let now = ContinuousClock.now
        let outcomes = [0.0, 5, 8.9, 10, 10.1, 25].map { budget.take(now: now + .seconds($0)) }
        #expect(outcomes == [true, false, false, true, false, true])
    }

    @Test(arguments: [
        (-1, 50), (0, 50), (1, 100), (2, 200), (5, 1600), (6, 2000), (63, 2000), (10_000, 2000), (Int.max, 2000),
    ]) func theBoundDoubles(attempt: Int, milliseconds: Int) {
        let backoff = Backoff(base: .milliseconds(50), maximum: .seconds(2))
        #expect(backoff.bound(attempt: attempt) == .milliseconds(milliseconds))
    }

    @Test func pausesAreSpreadAndRepeatWithTheSeed() {
        let backoff = Backoff(base: .milliseconds(100), maximum: .seconds(1))
        func delays(_ seed: UInt64) -> [Duration] {
            var generator = JitterGenerator(seed: seed)
            return (0..<200).map { _ in backoff.delay(attempt: 2, using: &generator) }
        }
        let delays1 = delays(1)
        #expect(delays1 == delays(1))
        #expect(delays1 != delays(2))
        #expect(delays1.allSatisfy { $0 >= .zero && $0 <= .milliseconds(400) })
        #expect(delays1.contains { $0 < .milliseconds(100) })
        #expect(delays1.contains { $0 > .milliseconds(300) })
    }

    @Test(arguments: [
        (false, true, 2, false), (true, false, 2, false), (true, true, 1, false), (true, true, 2, true),
    ]) func hedgingIsForInteractiveRequestsWithSomewhereToGo(
        enabled: Bool, interactive: Bool, members: Int, hedged: Bool
    ) {
        var policy = HedgingPolicy()
        #expect(!policy.isEnabled)
        policy.isEnabled = enabled
        #expect((policy.delay(isInteractive: interactive, members: members) != nil) == hedged)
    }
}
