import MartinetJSON
import Foundation
import MartinetAPI
import MartinetFleet
import MartinetUpstreams
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct ResilienceTests {
    static func working() -> MockServer {
        MockServer { call in
            if case .bool(true)? = call.body["stream"] { return try CountingModel().answer(call) }
            return MockServer.json()
        }
    }

    /// What the first member does, for which kind of request.
    @Test(arguments: [500, 503, 429, 401, 0, 1], [false, true])
    func anotherMemberAnswers(fault: Int, stream: Bool) async throws {
        let bad = MockServer { _ in
            switch fault {
            case 0: try await MockServer.never()
            case 1: MockServer.json("garbage")
            default: MockServer.json("{}", status: fault, headers: ["retry-after": "30"])
            }
        }
        let good = Self.working()
        try await MockServer.with([bad, good]) { urls in
            try await withPool(
                urls,
                each: { upstream, index in
                    // The one that never answers is not waited for long; the other may be slow on a busy machine.
                    guard fault == 0, index == 0 else { return }
                    upstream.firstTokenTimeout = .milliseconds(500)
                    if !stream { upstream.totalTimeout = .milliseconds(500) }
                }
            ) { pool in
                let response = try await pool.send(stream ? request(streamRequest) : request())
                if stream { #expect(try await response.collect().text == CountingModel.text(0..<30)) }
                #expect(response.member == "up1")
                #expect(response.record.figures.retries == 1)
                #expect(try pool.member("up1").retries == 1)
                #expect(try pool.member("up0").failures.count == 1)
            }
        }
        #expect(bad.calls.count == 1 && good.calls.count == 1)
    }

    @Test func theClientsMistakeIsNotTriedAgain() async throws {
        let bad = MockServer { _ in MockServer.json(#"{"error":{"message":"no"}}"#, status: 400) }
        let good = Self.working()
        try await MockServer.with([bad, good]) { urls in
            try await withPool(urls) { pool in
                for _ in 0..<20 {
                    let error = try await pool.failure(request())
                    #expect(error?.status == 400)
                }
                #expect(try pool.member("up0").breaker == .closed)
            }
        }
        #expect(good.calls.isEmpty)
    }

    @Test func theOnlyMemberIsTriedAgainAfterItsPause() async throws {
        let server = MockServer { call in
            call.number == 0 ? MockServer.json("{}", status: 429, headers: ["retry-after": "1"]) : MockServer.json()
        }
        let strict = MockServer { _ in MockServer.json("{}", status: 429, headers: ["retry-after": "60"]) }
        try await MockServer.with([server, strict]) { urls in
            try await withPool([urls[0]]) { pool in
                let start = ContinuousClock.now
                _ = try await pool.send(request())
                #expect(ContinuousClock.now - start >= .seconds(1))
            }
            try await withPool([urls[1]]) { pool in
                let error = try #require(try await pool.failure(request()))
                #expect(error.status == 429 && error.retryAfter == 60)
                // Nobody asks while it wants a pause.
                let next = try #require(try await pool.failure(request()))
                #expect(next.code == .unavailable && next.status == 503)
                #expect((50...61).contains(next.retryAfter ?? 0))
            }
        }
        #expect(strict.calls.count == 1)
    }

    @Test func retriesStayWithinTheirBudget() async throws {
        let server = MockServer { _ in MockServer.json("{}", status: 500) }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls,
                pool: { pool in
                    pool.retryBudget = RetryBudget.Settings(share: 0.1, floor: 0)
                    pool.breaker.consecutiveFailures = 1000
                    pool.breaker.minimumCount = 1000
                }
            ) { pool in
                for _ in 0..<50 { _ = try await pool.failure(request()) }
            }
        }
        #expect(server.calls.count > 50 && server.calls.count <= 55)
    }

    @Test func aBreakerOpensAndAProbeClosesIt() async throws {
        let server = MockServer { _ in MockServer.json("{}", status: 500) }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls, runs: true,
                pool: { pool in
                    pool.maxAttempts = 1
                    pool.breaker.consecutiveFailures = 3
                    pool.breaker.coolDown = .milliseconds(300)
                    pool.breaker.maximumCoolDown = .milliseconds(300)
                },
                each: { upstream, _ in
                    upstream.models = ["m": "real"]
                    upstream.probe.isEnabled = true
                    upstream.probe.interval = .milliseconds(100)
                }
            ) { pool in
                for _ in 0..<3 { _ = try await pool.failure(request()) }
                let error = try #require(try await pool.failure(request()))
                #expect(error.code == .unavailable && error.status == 503)
                #expect(try pool.member("up0").openings >= 1)
                try await eventually("no probe failed") { try pool.member("up0").lastProbe?.problem != nil }
                server.change { _ in MockServer.json() }
                try await eventually("the breaker stays open") { try pool.member("up0").breaker == .closed }
                let member = try pool.member("up0")
                #expect(member.closings == 1 && member.halfOpenings >= 1)
                try await eventually("no probe") {
                    let probe = try pool.member("up0").lastProbe
                    return probe != nil && probe?.problem == nil
                }
                _ = try await pool.send(request())
            }
        }
        let probe = try #require(server.calls.last { $0.body["prompt"]?.string == "Hi" })
        #expect(probe.body["model"]?.string == "real" && probe.body["max_tokens"]?.integer == 1)
    }

    @Test func aProbeWithoutAModelListsThem() async throws {
        let server = MockServer { _ in MockServer.json(#"{"data":[]}"#) }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls, runs: true,
                each: { upstream, _ in
                    upstream.probe.isEnabled = true
                    upstream.probe.interval = .milliseconds(50)
                }
            ) { pool in
                try await eventually("no probe") { try pool.member("up0").lastProbe != nil }
                #expect(try pool.member("up0").lastProbe?.problem == nil)
            }
        }
        #expect(server.calls.first?.path == "/v1/models")
    }

    @Test func aSlowMemberIsHedged() async throws {
        let slow = MockServer { _ in try await MockServer.never() }
        let fast = Self.working()
        try await MockServer.with([slow, fast]) { urls in
            try await withPool(
                urls,
                pool: { pool in
                    pool.hedging.isEnabled = true
                    pool.hedging.delay = .milliseconds(100)
                    pool.hedging.share = 0
                },
                each: { upstream, index in if index == 0 { upstream.totalTimeout = .seconds(6) } }
            ) { pool in
                let response = try await pool.send(request(streamRequest, interactive: true))
                #expect(response.member == "up1" && response.record.figures.isHedged)
                #expect(try await response.collect().text == CountingModel.text(0..<30))
                #expect(try pool.member("up1").hedges == 1)
                try await eventually("the slow one is still open") { try pool.member("up0").outstandingRequests == 0 }
                #expect(try pool.member("up0").failures.isEmpty)
                // The budget is one in ten seconds here, and only requests that somebody waits for are hedged.
                let second = try await pool.send(request(interactive: true))
                #expect(!second.record.figures.isHedged && second.record.figures.retries == 1)
            }
        }
    }

    @Test func aBusyMemberLetsOthersWait() async throws {
        let server = MockServer { _ in
            try await Task.sleep(for: .milliseconds(100))
            return MockServer.json()
        }
        try await MockServer.with([server]) { urls in
            try await withPool(
                urls, pool: { $0.maxQueued = 3 }, each: { upstream, _ in upstream.maxConcurrent = 1 }
            ) { pool in
                let outcomes = await withTaskGroup(of: UpstreamError.Code?.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            do {
                                _ = try await pool.send(request())
                                return nil
                            } catch { return (error as? UpstreamError)?.code }
                        }
                    }
                    return await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.filter { $0 == nil }.count >= 4)
                #expect(outcomes.contains(.busy))
                #expect(outcomes.allSatisfy { $0 == nil || $0 == .busy })
                #expect(pool.snapshot().waiting == 0)
                // A deadline ends the wait.
                let first = Task { try await pool.send(request()) }
                try await eventually("no request") { try pool.member("up0").outstandingRequests == 1 }
                #expect(pool.saturation >= 1)
                let error = try #require(try await pool.failure(request(deadline: .now + .milliseconds(20))))
                #expect(error.code == .deadlineExceeded)
                _ = try await first.value
                #expect(pool.saturation == 0)
            }
        }
    }
}
