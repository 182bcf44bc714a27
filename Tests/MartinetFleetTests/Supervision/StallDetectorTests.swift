import MartinetFleet
import Testing

@Suite struct StallDetectorTests {
    private let start = ContinuousClock.now
    private let interval = Duration.seconds(1)

    /// Looks at a life each second until something is found.
    private func look(
        _ seconds: Int, at step: (Int) -> Int = { $0 }, life: (Int) -> WorkerLiveness
    ) -> (after: Int, finding: StallDetector.Finding)? {
        var detector = StallDetector(timeout: .seconds(5), interval: interval)
        for second in 0...seconds {
            if let finding = detector.observe(life(second), at: start + .seconds(step(second))) {
                return (second, finding)
            }
        }
        return nil
    }

    private func life(
        connected: Bool = true, beat: Int, steps: Int = 0, work: Bool = false
    ) -> WorkerLiveness {
        WorkerLiveness(
            isConnected: connected, lastHeartbeat: start + .seconds(beat), steps: UInt64(steps), hasWork: work)
    }

    @Test func aWorkerThatStepsOrHasNothingToDoIsWell() {
        #expect(look(100) { life(beat: $0, steps: $0, work: true) } == nil)
        #expect(look(100) { life(beat: $0) } == nil)
        // Work that comes and goes between two steps.
        #expect(look(100) { life(beat: $0, work: $0 % 4 != 0) } == nil)
        #expect(look(100) { life(beat: $0 / 4, steps: $0 / 4, work: true) } == nil)
    }

    @Test func silenceAndStandstillAreWedges() throws {
        let silence = try #require(look(100) { life(beat: min($0, 10)) })
        #expect(silence.after == 15)
        #expect(silence.finding == .wedged("no sign of life for 5.0 seconds"))
        let standstill = try #require(look(100) { life(beat: $0, steps: min($0, 20), work: true) })
        #expect(standstill.after == 25)
        #expect(standstill.finding == .wedged("work, but no step for 5.0 seconds"))
    }

    @Test func aBrokenConnectionIsFoundWhereTheProcessLives() throws {
        let broken = try #require(look(100) { life(connected: $0 < 10, beat: $0) })
        #expect(broken.finding == .disconnected)
        #expect(broken.after == 11)
    }

    @Test func aPauseOfTheWatcherIsNotTheWorkers() {
        // Between the looks 4 and 5 lies a minute in which nobody read anything.
        let found = look(20, at: { $0 < 5 ? $0 : $0 + 60 }) { second in
            life(beat: (4..<7).contains(second) ? 4 : second, steps: second, work: true)
        }
        #expect(found == nil)
    }
}
