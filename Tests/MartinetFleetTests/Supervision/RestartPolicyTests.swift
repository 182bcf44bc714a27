import MartinetFleet
import Testing

@Suite struct RestartPolicyTests {
    private let start = ContinuousClock.now

    private func makePolicy() -> RestartPolicy {
        var options = RestartPolicy.Options()
        options.firstDelay = .seconds(1)
        options.longestDelay = .seconds(5)
        options.stableTime = .seconds(60)
        options.maxFailures = 5
        options.window = .seconds(100)
        return RestartPolicy(options)
    }

    @Test func delaysDoubleUpToALimitAndThenItIsALoop() {
        var policy = makePolicy()
        let actions = (0..<5).map { policy.handle(.exited(.status(1)), at: start + .seconds($0)) }
        #expect(
            actions == [
                .spawn(after: .seconds(1)), .spawn(after: .seconds(2)), .spawn(after: .seconds(4)),
                .spawn(after: .seconds(5)), .giveUp(failures: 5),
            ])
    }

    @Test(
        arguments: [
            (.exited(.status(1)), true), (.exited(.status(0)), true), (.exited(.signal(11)), true),
            (.exited(.signal(9, outOfMemory: true)), true), (.startTimedOut, true), (.didNotStart, true),
            (.exited(.signal(9)), false), (.exited(.signal(15)), false), (.wedged, false), (.disconnected, false),
        ] as [(RestartPolicy.Event, Bool)])
    func onlySomeFailuresMakeALoop(event: RestartPolicy.Event, counts: Bool) {
        var policy = makePolicy()
        let actions = (0..<30).map { round in
            #expect(policy.handle(.ready, at: start + .milliseconds(round * 2)) == nil)
            return policy.handle(event, at: start + .milliseconds(round * 2 + 1))
        }
        #expect(actions.contains(.giveUp(failures: 5)) == counts)
        if !counts { #expect(actions.allSatisfy { $0 == .spawn(after: .zero) }) }
    }

    @Test func aWorkerKilledBeforeItIsReadyComesBackMoreSlowly() {
        var policy = makePolicy()
        let actions = (0..<8).map { _ in policy.handle(.exited(.signal(9)), at: start) }
        #expect(actions.first == .spawn(after: .seconds(1)))
        #expect(actions.last == .spawn(after: .seconds(5)))
        // Once it was ready, that is forgotten.
        _ = policy.handle(.ready, at: start)
        #expect(policy.handle(.exited(.signal(9)), at: start) == .spawn(after: .zero))
        #expect(policy.handle(.exited(.signal(9)), at: start) == .spawn(after: .seconds(1)))
    }

    @Test func failuresAreForgotten() {
        var policy = makePolicy()
        for round in 0..<40 {
            // Each a long time behind the last.
            let action = policy.handle(.exited(.status(1)), at: start + .seconds(round * 30))
            #expect(action != .giveUp(failures: 5))
        }
        for round in 0..<4 { _ = policy.handle(.startTimedOut, at: start + .seconds(2000 + round)) }
        _ = policy.handle(.ready, at: start + .seconds(2010))
        // Long enough ready.
        #expect(policy.handle(.exited(.signal(6)), at: start + .seconds(2070)) == .spawn(after: .seconds(1)))
    }
}
