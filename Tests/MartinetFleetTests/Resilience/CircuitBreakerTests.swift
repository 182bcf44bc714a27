import MartinetFleet
import Testing

@Suite struct CircuitBreakerTests {
    enum Step: Sendable {
        case success, failure, abandoned
        /// A request that must not be admitted.
        case refused
        /// Seconds pass.
        case wait(Double)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var steps: [Step]
        var state: CircuitBreaker.State
        var openings = 0
        var halfOpenings = 0
        var closings = 0

        var testDescription: String { name }
    }

    static func settings() -> CircuitBreaker.Settings {
        var settings = CircuitBreaker.Settings()
        settings.consecutiveFailures = 3
        settings.failureShare = 0.5
        settings.window = .seconds(10)
        settings.minimumCount = 8
        settings.coolDown = .seconds(1)
        settings.maximumCoolDown = .seconds(4)
        settings.successes = 2
        return settings
    }

    static let alternating: [Step] = [.success, .failure, .success, .failure, .success, .failure, .success]
    static let rows: [Row] = [
        Row(name: "new", steps: [], state: .closed),
        Row(name: "a few failures", steps: [.failure, .failure], state: .closed),
        Row(name: "a success in between", steps: [.failure, .failure, .success, .failure, .failure], state: .closed),
        Row(name: "failures in a row", steps: [.failure, .failure, .failure, .refused], state: .open, openings: 1),
        Row(name: "the share, too few", steps: alternating, state: .closed),
        Row(name: "the share", steps: alternating + [.failure, .refused], state: .open, openings: 1),
        Row(name: "the share is forgotten", steps: alternating + [.wait(11), .failure], state: .closed),
        Row(
            name: "abandoned counts for nothing", steps: [.failure, .failure, .abandoned, .failure], state: .open,
            openings: 1),
        Row(
            name: "still cooling", steps: [.failure, .failure, .failure, .wait(0.9), .refused], state: .open,
            openings: 1),
        Row(
            name: "one trial is not enough", steps: [.failure, .failure, .failure, .wait(1), .success],
            state: .halfOpen, openings: 1, halfOpenings: 1),
        Row(
            name: "an abandoned trial frees its place",
            steps: [.failure, .failure, .failure, .wait(1), .abandoned, .success], state: .halfOpen, openings: 1,
            halfOpenings: 1),
        Row(
            name: "closes", steps: [.failure, .failure, .failure, .wait(1), .success, .success], state: .closed,
            openings: 1, halfOpenings: 1, closings: 1),
        Row(
            name: "begins anew after closing",
            steps: [.failure, .failure, .failure, .wait(1), .success, .success, .failure, .failure], state: .closed,
            openings: 1, halfOpenings: 1, closings: 1),
        Row(
            name: "the second cool-down is longer",
            steps: [.failure, .failure, .failure, .wait(1), .failure, .wait(1.9), .refused], state: .open, openings: 2,
            halfOpenings: 1),
        Row(
            name: "and passes",
            steps: [.failure, .failure, .failure, .wait(1), .failure, .wait(2), .success], state: .halfOpen,
            openings: 2, halfOpenings: 2),
        Row(
            name: "up to its bound",
            steps: [
                .failure, .failure, .failure, .wait(1), .failure, .wait(2), .failure, .wait(4), .failure, .wait(4),
                .success,
            ], state: .halfOpen, openings: 4, halfOpenings: 4),
        Row(
            name: "and is short again after closing",
            steps: [
                .failure, .failure, .failure, .wait(1), .failure, .wait(2), .success, .success, .failure, .failure,
                .failure, .wait(1), .success,
            ], state: .halfOpen, openings: 3, halfOpenings: 3, closings: 1),
    ]

    @Test(arguments: rows) func table(_ row: Row) throws {
        var breaker = CircuitBreaker(Self.settings())
        var now = ContinuousClock.now
        for (index, step) in row.steps.enumerated() {
            switch step {
            case .wait(let seconds): now += .seconds(seconds)
            case .refused:
                #expect(!breaker.admits(now: now), "step \(index)")
                let admission = breaker.admit(now: now)
                #expect(admission == nil, "step \(index)")
            case .success, .failure, .abandoned:
                let admitted = breaker.admit(now: now)
                let admission = try #require(admitted, "step \(index)")
                let outcome: CircuitBreaker.Outcome =
                    switch step {
                    case .success: .success
                    case .failure: .failure
                    default: .abandoned
                    }
                breaker.record(outcome, of: admission, now: now)
            }
        }
        #expect(breaker.state == row.state)
        #expect(breaker.openings == row.openings)
        #expect(breaker.halfOpenings == row.halfOpenings)
        #expect(breaker.closings == row.closings)
    }

    @Test func halfOpenAdmitsAFewAtATime() throws {
        var settings = Self.settings()
        settings.trials = 2
        var breaker = CircuitBreaker(settings)
        var now = ContinuousClock.now
        for _ in 0..<3 { breaker.fail(now: now) }
        let until = try #require(breaker.opensUntil)
        #expect(until == now + .seconds(1))
        now = until
        let admissions = (0..<3).map { _ in breaker.admit(now: now) }
        #expect(admissions.map { $0 != nil } == [true, true, false])
        breaker.record(.success, of: try #require(admissions[0]), now: now)
        let next = breaker.admit(now: now)
        #expect(next != nil)
    }

    @Test func whatWasAdmittedBeforeAChangeDoesNotCount() throws {
        var breaker = CircuitBreaker(Self.settings())
        let now = ContinuousClock.now
        let admitted = breaker.admit(now: now)
        let old = try #require(admitted)
        for _ in 0..<3 { breaker.fail(now: now) }
        let later = now + .seconds(1)
        let readmitted = breaker.admit(now: later)
        let trial = try #require(readmitted)
        breaker.record(.failure, of: old, now: later)
        #expect(breaker.state == .halfOpen)
        breaker.record(.success, of: old, now: later)
        breaker.record(.success, of: trial, now: later)
        #expect(breaker.state == .halfOpen)
    }
}
