import MartinetEngine
import MartinetFleet
import Testing

/// The pool with members that do only what they are told.
@Suite(.timeLimit(.minutes(5))) struct WorkerPoolTests {
    private func makePool(
        _ members: Int = 2, isSupervised: Bool = true, policy: any RoutingPolicy = LeastOutstandingTokens(),
        change: (inout PoolOptions) -> Void = { _ in }
    ) -> (pool: WorkerPool, members: [ScriptedMember]) {
        var options = PoolOptions()
        options.endTokens = [63]
        options.causeWait = .seconds(60)
        options.retryDelay = .milliseconds(1)
        change(&options)
        let pool = WorkerPool(limits: testLimits, policy: policy, options: options)
        let members = (0..<members).map { _ in ScriptedMember() }
        for (index, member) in members.enumerated() {
            pool.add(member: member, id: "\(index)", isSupervised: isSupervised)
        }
        return (pool, members)
    }

    private func request(_ prompt: [Int32] = [1, 2, 3], count: Int? = 10, samples: Int = 1) -> EngineRequest {
        var sampling = SamplingParameters()
        sampling.maxTokens = count
        return EngineRequest(id: "test", prompt: prompt, sampling: sampling, sampleCount: samples)
    }

    private func tokens(_ tokens: [Int32], sample: Int = 0) -> [SequenceEvent] {
        tokens.map { SequenceEvent(sample: sample, event: .token($0, logprobs: nil)) }
    }

    private func prompt(_ sample: Int = 0) -> SequenceEvent {
        SequenceEvent(sample: sample, event: .prompt(cached: 0, logprobs: nil))
    }

    private func end(_ reason: FinishReason, sample: Int = 0) -> SequenceEvent {
        SequenceEvent(sample: sample, event: .finished(reason))
    }

    @Test func aLostSequenceGoesOnBehindItsTokensWithItsSeed() async throws {
        let (pool, members) = makePool()
        let mailbox = Mailbox()
        let ticket = try pool.submit(request(), to: mailbox)
        let first = try #require(members[0].submissions.first)
        first.sink.publish([prompt()] + tokens([4, 5]))
        pool.memberLost(id: "0", cause: .killed)
        let second = try #require(members[1].submissions.first)
        #expect(second.request.prompt == [1, 2, 3])
        #expect(second.request.emitted == [4, 5])
        #expect(second.request.sampling.seed == first.request.sampling.seed)
        #expect(first.request.sampling.seed != nil)
        // What the first still says counts no more, whatever it is.
        first.sink.publish(tokens([6, 7]) + [end(.length)])
        first.sink.fail(EngineError(.workerLost, "gone"))
        second.sink.publish([prompt()] + tokens([8]) + [end(.stop)])
        let answer = try await answers(mailbox, samples: 1)[0]
        #expect(answer.tokens == [4, 5, 8])
        #expect(answer.prompts == 1)
        #expect(answer.reason == .stop)
        #expect(pool.snapshot().resumptions == [.resumed: 1])
        withExtendedLifetime(ticket) {}
    }

    @Test func theCauseOfALossIsAwaited() async throws {
        let (pool, members) = makePool()
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        try #require(members[0].submissions.first).sink.fail(EngineError(.workerLost, "gone"))
        #expect(members[1].submissions.isEmpty)
        #expect(pool.snapshot().members[0].isAvailable == false)
        pool.memberLost(id: "0", cause: .crashed)
        #expect(members[1].submissions.count == 1)
        #expect(pool.snapshot().losses == [.crashed: 1])
    }

    @Test func aCauseThatNeverComesIsNotWaitedForForEver() async throws {
        let (pool, members) = makePool { $0.causeWait = .milliseconds(5) }
        _ = try pool.submit(request(), to: Mailbox())
        try #require(members[0].submissions.first).sink.fail(EngineError(.workerLost, "gone"))
        #expect(await eventually { !members[1].submissions.isEmpty })
        #expect(pool.snapshot().losses == [.disconnected: 1])
    }

    @Test(arguments: [EngineError.Code.workerLost, .unavailable, .queueFull])
    func aSequenceThatAMemberGivesUpGoesOnElsewhere(code: EngineError.Code) async throws {
        let (pool, members) = makePool(isSupervised: false)
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        let first = try #require(members[0].submissions.first)
        first.sink.publish([prompt()] + tokens([4]))
        first.sink.fail(EngineError(code, "not now"))
        let second = try #require(members[1].submissions.first)
        #expect(second.request.emitted == [4])
        // A member that shuts down aborts what nobody cancelled.
        second.sink.publish([end(.abort)])
        #expect(members[0].submissions.count == 2)
        #expect(pool.snapshot().members.allSatisfy { $0.isAvailable })
    }

    @Test func otherErrorsReachTheClient() async throws {
        let (pool, members) = makePool()
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        try #require(members[0].submissions.first).sink.fail(EngineError(.invalidParameter, "no"))
        let error = await #expect(throws: EngineError.self) { try await answers(mailbox, samples: 1) }
        #expect(error?.code == .invalidParameter)
        #expect(pool.snapshot().open == 0)
    }

    @Test(
        arguments: [
            (10, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13], FinishReason.length), (10, [4, 63], .stop), (1, [63], .stop),
            (nil, [4, 63], .stop),
        ] as [(Int?, [Int32], FinishReason)])
    func aSequenceThatMissesOnlyItsEndGetsIt(count: Int?, emitted: [Int32], reason: FinishReason) async throws {
        let (pool, members) = makePool(1)
        let mailbox = Mailbox()
        _ = try pool.submit(request(count: count), to: mailbox)
        try #require(members[0].submissions.first).sink.publish([prompt()] + tokens(emitted))
        pool.memberLost(id: "0", cause: .killed)
        let answer = try await answers(mailbox, samples: 1)[0]
        #expect(answer.tokens == emitted)
        #expect(answer.reason == reason)
        #expect(pool.snapshot().resumptions == [.completed: 1])
    }

    @Test func endTokensBeforeMinTokensEndNothing() throws {
        let (pool, members) = makePool()
        var request = request()
        request.sampling.minTokens = 5
        _ = try pool.submit(request, to: Mailbox())
        try #require(members[0].submissions.first).sink.publish([prompt()] + tokens([4, 63]))
        pool.memberLost(id: "0", cause: .killed)
        #expect(members[1].submissions.first?.request.emitted == [4, 63])
    }

    @Test func samplesGoOnEachFromWhereItStands() async throws {
        let (pool, members) = makePool()
        let mailbox = Mailbox()
        var request = request(samples: 5)
        request.sampling.promptLogprobs = 0
        _ = try pool.submit(request, to: mailbox)
        let first = try #require(members[0].submissions.first)
        #expect(first.request.sampleCount == 5)
        first.sink.publish([prompt()] + tokens([4]))
        first.sink.publish([prompt(1)] + tokens([5, 6], sample: 1) + [end(.length, sample: 1)])
        pool.memberLost(id: "0", cause: .killed)
        let parts = members[1].submissions.map(\.request)
        #expect(parts.map(\.sampleIndex) == [0, 2])
        #expect(parts.map(\.sampleCount) == [1, 3])
        #expect(parts.map(\.emitted) == [[4], []])
        #expect(parts.map(\.sampling.promptLogprobs) == [nil, nil])
        #expect(pool.snapshot().members[0].outstandingSequences == 4)
        for (index, part) in members[1].submissions.enumerated() {
            for sample in index == 0 ? 0..<1 : 2..<5 {
                part.sink.publish([prompt(sample)] + tokens([9], sample: sample) + [end(.length, sample: sample)])
            }
        }
        let found = try await answers(mailbox, samples: 5)
        #expect(found.map(\.tokens) == [[4, 9], [5, 6], [9], [9], [9]])
        #expect(found.allSatisfy { $0.prompts == 1 })
        #expect(pool.snapshot().members[0].outstandingTokens == 0)
    }

    @Test func aRequestWaitsForItsFirstMember() throws {
        let (pool, _) = makePool(0)
        _ = try pool.submit(request(), to: Mailbox())
        #expect(pool.snapshot().waiting == 1)
        #expect(pool.statistics().waiting == 1)
        let member = ScriptedMember()
        pool.add(member: member, id: "late")
        #expect(member.submissions.count == 1)
        #expect(pool.snapshot().waiting == 0)
    }

    @Test func waitingEndsAtTheDeadline() async throws {
        let (pool, _) = makePool(0)
        let mailbox = Mailbox()
        var late = request()
        late.deadline = .now + .milliseconds(20)
        let ticket = try pool.submit(late, to: mailbox)
        guard case .failed(let error) = await mailbox.next() else {
            Issue.record("the request did not fail")
            return
        }
        #expect(error.code == .deadlineExceeded)
        withExtendedLifetime(ticket) {}
    }

    @Test func waitingHasALimit() async throws {
        let (pool, members) = makePool(1) { $0.waitingLimit = .milliseconds(20) }
        let mailbox = Mailbox()
        _ = try pool.submit(request(samples: 2), to: mailbox)
        try #require(members[0].submissions.first).sink.publish([prompt()] + tokens([4]))
        pool.memberLost(id: "0", cause: .killed)
        let error = await #expect(throws: EngineError.self) { try await answers(mailbox, samples: 2) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("No worker took the request") == true)
        #expect(pool.snapshot().resumptions == [.failed: 2])
        #expect(pool.snapshot().open == 0)
    }

    @Test func lossesWithoutATokenHaveALimit() async throws {
        let (pool, members) = makePool(1, isSupervised: false) { $0.maxAttempts = 3 }
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        for attempt in 1...4 {
            #expect(await eventually { members[0].submissions.count == attempt })
            members[0].submissions[attempt - 1].sink.fail(EngineError(.workerLost, "broken"))
        }
        let error = await #expect(throws: EngineError.self) { try await answers(mailbox, samples: 1) }
        #expect(error?.code == .unavailable)
        #expect(error?.message.contains("lost its worker 4 times") == true)
    }

    @Test func aMemberThatAbortsAllIsNotAskedForEver() async throws {
        let (pool, members) = makePool(1, isSupervised: false) { $0.maxAttempts = 2 }
        let mailbox = Mailbox()
        _ = try pool.submit(request(samples: 20), to: mailbox)
        // Each sample on its own from here on: one bad moment counts once for each.
        let first = try #require(members[0].submissions.first)
        first.sink.publish((0..<20).flatMap { [prompt($0)] + tokens([4], sample: $0) })
        first.sink.fail(EngineError(.workerLost, "broken"))
        #expect(await eventually { members[0].submissions.count == 21 })
        for part in members[0].submissions.dropFirst() {
            part.sink.publish([end(.abort, sample: part.request.sampleIndex)])
        }
        #expect(await eventually { members[0].submissions.count == 41 })
        #expect(pool.snapshot().open == 20)
        members[0].submissions[40].sink.publish([end(.abort, sample: members[0].submissions[40].request.sampleIndex)])
        let error = await #expect(throws: EngineError.self) { try await answers(mailbox, samples: 20) }
        #expect(error?.message.contains("lost its worker 3 times") == true)
    }

    @Test func aRequestAloneAtTwoCrashesIsRefused() async throws {
        let (pool, _) = makePool(2)
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        pool.memberLost(id: "0", cause: .crashed)
        pool.memberLost(id: "1", cause: .outOfMemory)
        let error = await #expect(throws: EngineError.self) { try await answers(mailbox, samples: 1) }
        #expect(error?.code == .requestCrashedWorker)
        #expect(pool.snapshot().refusedRequests == 1)
    }

    @Test func lossesFromOutsideBlameNobody() throws {
        let (pool, _) = makePool(0)
        _ = try pool.submit(request(), to: Mailbox())
        for cause in [WorkerLoss.killed, .ended, .disconnected, .killed, .wedged, .wedged] {
            pool.add(member: ScriptedMember(), id: "one", isSupervised: true)
            pool.memberLost(id: "one", cause: cause)
        }
        #expect(pool.snapshot().refusedRequests == 0)
        #expect(pool.snapshot().waiting == 1)
    }

    @Test func threeWedgesWithoutATokenAreEnough() async throws {
        let (pool, _) = makePool(0)
        let mailbox = Mailbox()
        _ = try pool.submit(request(), to: mailbox)
        for round in 0..<4 {
            let member = ScriptedMember()
            pool.add(member: member, id: "one", isSupervised: true)
            if round < 2 { try #require(member.submissions.first).sink.publish(tokens([4])) }
            pool.memberLost(id: "one", cause: .wedged)
            #expect(pool.snapshot().refusedRequests == (round == 3 ? 1 : 0))
        }
    }

    @Test func suspectsAreTriedAloneAndClearedByTokens() async throws {
        let (pool, members) = makePool(1) { $0.quarantineTokens = 3 }
        for _ in 0..<3 { _ = try pool.submit(request(), to: Mailbox()) }
        let next = [ScriptedMember(), ScriptedMember()]
        pool.memberLost(id: "0", cause: .crashed)
        pool.add(member: next[0], id: "0", isSupervised: true)
        #expect(next[0].submissions.count == 3)
        pool.memberLost(id: "0", cause: .crashed)
        pool.add(member: next[1], id: "0", isSupervised: true)
        // One alone; others wait, also those that nobody suspects.
        _ = try pool.submit(request(), to: Mailbox())
        #expect(next[1].submissions.count == 1)
        #expect(pool.snapshot().hasQuarantine && pool.snapshot().waiting == 3)
        next[1].submissions[0].sink.publish([prompt()] + tokens([4, 5, 6]))
        #expect(next[1].cancellations == [nil])
        #expect(next[1].submissions.count == 2)
        next[1].submissions[1].sink.publish([prompt()] + tokens([4]) + [end(.stop)])
        #expect(next[1].submissions.count == 3)
        next[1].submissions[2].sink.publish([prompt()] + tokens([4, 5, 6]))
        // All are cleared: the first two and the new one run together.
        #expect(pool.snapshot().hasQuarantine == false)
        #expect(pool.snapshot().waiting == 0)
        #expect(members[0].submissions.count == 3)
    }

    @Test func cancellationReachesTheMemberOfTheMoment() async throws {
        let (pool, members) = makePool()
        let mailbox = Mailbox()
        let ticket = try pool.submit(request(samples: 2), to: mailbox)
        pool.memberLost(id: "0", cause: .killed)
        ticket.cancel(sample: 1)
        #expect(members[1].cancellations == [1])
        ticket.cancel()
        #expect(members[1].cancellations == [1, nil])
        #expect(try await answers(mailbox, samples: 2).map(\.reason) == [.abort, .abort])
        #expect(pool.snapshot().open == 0)
        #expect(pool.snapshot().members[0].outstandingTokens == 0)
    }

    @Test func aRequestThatWaitsCanBeCancelled() async throws {
        let (pool, _) = makePool(0)
        let mailbox = Mailbox()
        let ticket = try pool.submit(request(), to: mailbox)
        ticket.cancel()
        #expect(try await answers(mailbox, samples: 1)[0].reason == .abort)
        #expect(pool.snapshot().waiting == 0)
    }

    @Test func refusalsAreTriedElsewhereAndThenThrown() throws {
        let (pool, members) = makePool()
        members[0].refuse(with: EngineError(.queueFull, "full"))
        _ = try pool.submit(request(), to: Mailbox())
        #expect(members[1].submissions.count == 1)
        members[1].refuse(with: EngineError(.queueFull, "full"))
        let error = #expect(throws: EngineError.self) { try pool.submit(request(), to: Mailbox()) }
        #expect(error?.code == .queueFull)
        members[0].refuse(with: EngineError(.invalidParameter, "wrong"))
        let other = #expect(throws: EngineError.self) { try pool.submit(request(), to: Mailbox()) }
        #expect(other?.code == .invalidParameter)
        #expect(pool.snapshot().open == 1)
    }

    @Test func aSessionStaysWithItsMember() throws {
        let (pool, members) = makePool(4, policy: ConsistentHash())
        for index in 0..<40 {
            var request = request()
            request.session = "session-\(index % 8)"
            _ = try pool.submit(request, to: Mailbox())
        }
        let sessions = members.map { member in Set(member.submissions.compactMap(\.request.session)) }
        #expect(sessions.map(\.count).reduce(0, +) == 8)
        #expect(sessions.filter { !$0.isEmpty }.count > 1)
    }

    @Test func theQueueHasABound() throws {
        var limits = testLimits
        limits.maxWaiting = 2
        var options = PoolOptions()
        options.maxSequencesPerMember = 1
        let pool = WorkerPool(limits: limits, policy: RoundRobin(), options: options)
        _ = try pool.submit(request(samples: 5), to: Mailbox())
        let error = #expect(throws: EngineError.self) { try pool.submit(request(), to: Mailbox()) }
        #expect(error?.code == .queueFull)
        #expect(throws: EngineError.self) { try pool.submit(request([]), to: Mailbox()) }
    }

    @Test func membersThatAreNotAvailableGetNothingNew() throws {
        let (pool, members) = makePool()
        pool.setAvailable(false, id: "0")
        _ = try pool.submit(request(), to: Mailbox())
        _ = try pool.submit(request(), to: Mailbox())
        #expect(members.map(\.submissions.count) == [0, 2])
        pool.setAvailable(false, id: "1")
        _ = try pool.submit(request(), to: Mailbox())
        #expect(pool.snapshot().waiting == 1)
        pool.setAvailable(true, id: "0")
        #expect(members.map(\.submissions.count) == [1, 2])
    }

    @Test func countersGoOnWhenMembersGo() throws {
        let (pool, members) = makePool()
        for member in members { member.count { ($0.steps, $0.generatedTokens, $0.running) = (5, 7, 1) } }
        #expect(pool.statistics().steps == 10)
        pool.memberLost(id: "0", cause: .killed)
        pool.remove(id: "1")
        pool.add(member: ScriptedMember(), id: "0")
        let statistics = pool.statistics()
        #expect(statistics.steps == 10 && statistics.generatedTokens == 14 && statistics.running == 0)
    }

    @Test func shutdownWaitsAndThenAborts() async throws {
        let (pool, members) = makePool(1)
        let (first, second) = (Mailbox(), Mailbox())
        _ = try pool.submit(request(), to: first)
        _ = try pool.submit(request(), to: second)
        async let ended: Void = pool.shutdown(deadline: .milliseconds(200))
        try #require(members[0].submissions.first).sink.publish([prompt()] + tokens([4]) + [end(.stop)])
        await ended
        #expect(try await answers(first, samples: 1)[0].reason == .stop)
        #expect(try await answers(second, samples: 1)[0].reason == .abort)
        #expect(throws: EngineError.self) { try pool.submit(request(), to: Mailbox()) }
    }
}
