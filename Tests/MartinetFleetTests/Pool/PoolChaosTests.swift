import MartinetEngine
import MartinetFleet
import MartinetGrammars
import Synchronization
import Testing

/// Whatever happens to members, every client gets what it would have got from an engine that nothing happens to.
@Suite(.timeLimit(.minutes(5))) struct PoolChaosTests {
    /// Members that die and are replaced, until enough have died.
    private final class Fleet: Sendable {
        private struct State {
            var random: SeededGenerator
            var deathsLeft: Int
            var deaths = 0
            var members: [MortalMember] = []
        }

        let pool: WorkerPool
        private let state: Mutex<State>
        private let death: MortalMember.Death
        private let cause: WorkerLoss
        private let poison: Int32?

        init(
            members: Int, deaths: Int, death: MortalMember.Death, cause: WorkerLoss, policy: any RoutingPolicy,
            poison: Int32? = nil, seed: UInt64 = 1
        ) throws {
            var options = PoolOptions()
            options.endTokens = [63]
            options.causeWait = .seconds(60)
            // Deaths come faster here than tokens reach those at the queue's end.
            (options.maxAttempts, options.maxWedges) = (1000, 1000)
            pool = WorkerPool(limits: testLimits, policy: policy, options: options)
            state = Mutex(State(random: SeededGenerator(seed: seed), deathsLeft: deaths))
            self.death = death
            self.cause = cause
            self.poison = poison
            for index in 0..<members { try start("\(index)") }
        }

        var deaths: Int { state.withLock(\.deaths) }

        private func start(_ id: String) throws {
            let fuse = state.withLock { state in
                state.deathsLeft -= 1
                return state.deathsLeft < 0 ? Int.max : Int.random(in: 1...150, using: &state.random)
            }
            let member = try MortalMember(fuse: fuse, death: death, poison: poison) { [weak self] in
                guard let self else { return }
                // As a supervisor would: later, on another thread; one that lives must not be done by then.
                if death == .zombie { replace(id) } else { Task { self.replace(id) } }
            }
            state.withLock { $0.members.append(member) }
            pool.add(member: member, id: id, isSupervised: true)
        }

        private func replace(_ id: String) {
            state.withLock { $0.deaths += 1 }
            pool.memberLost(id: id, cause: cause)
            do { try start(id) } catch { Issue.record(error) }
        }

        func stop() {
            pool.stop()
            for member in state.withLock({ $0.members }) { member.stop() }
        }
    }

    /// Requests of all kinds, each with a seed.
    static func requests(_ count: Int, seed: UInt64) -> [EngineRequest] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { index in
            var sampling = SamplingParameters()
            sampling.temperature = index % 3 == 0 ? 0 : 1
            sampling.seed = random.next()
            sampling.maxTokens = index % 11 == 0 ? nil : Int.random(in: 1...40, using: &random)
            sampling.ignoreEndOfText = index % 7 == 0
            if index % 4 == 0 { sampling.logprobs = 2 }
            if index % 5 == 0 { sampling.promptLogprobs = 1 }
            if index % 6 == 0 { sampling.repetitionPenalty = 1.3 }
            if index % 8 == 0 { (sampling.presencePenalty, sampling.frequencyPenalty) = (0.5, 0.5) }
            if index % 9 == 0 { sampling.stopTokens = [5, 6, 7] }
            if index % 10 == 0 { sampling.minTokens = min(10, sampling.maxTokens ?? 10) }
            if index % 12 == 3 {
                (sampling.grammar, sampling.maxTokens) = (Self.grammars[index / 12 % Self.grammars.count], nil)
            }
            let length = Int.random(in: 1...30, using: &random)
            var request = EngineRequest(
                id: "\(index)", prompt: (0..<length).map { _ in Int32.random(in: 0...3, using: &random) },
                sampling: sampling, sampleCount: index % 5 == 1 ? 3 : 1)
            request.embeds = index % 13 == 4 && request.sampleCount == 1
            return request
        }
    }

    private static let grammars: [GrammarSource] = [
        .ebnf(#"root ::= [a-c]{2,30} ("." [0-9]{1,9})?"#),
        .sequence([
            .literal("{\"a\":"), .repetition(.choice([.literal("12"), .literal("0")]), minimum: 3, maximum: 20),
        ]),
    ]

    static func answerAll(_ engine: any SequenceEngine, _ requests: [EngineRequest]) async throws -> [[Answer]] {
        try await withThrowingTaskGroup(of: (Int, [Answer]).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, try await answers(engine, request)) }
            }
            var all = Array(repeating: [Answer](), count: requests.count)
            for try await (index, answer) in group { all[index] = answer }
            return all
        }
    }

    struct Chaos: Sendable, CustomTestStringConvertible {
        var name: String
        var members: Int
        var death: MortalMember.Death
        var cause: WorkerLoss
        var policy: RoutingPolicyName
        var testDescription: String { name }
    }

    @Test(arguments: [
        Chaos(name: "three killed", members: 3, death: .closes, cause: .killed, policy: .leastTokens),
        Chaos(name: "one killed", members: 1, death: .closes, cause: .killed, policy: .roundRobin),
        Chaos(name: "two wedged", members: 2, death: .silent, cause: .wedged, policy: .prefixAffinity),
        Chaos(name: "two taken for dead", members: 2, death: .zombie, cause: .wedged, policy: .powerOfTwo),
        Chaos(name: "two remote ones", members: 2, death: .closes, cause: .disconnected, policy: .consistentHash),
    ])
    func deathsChangeNothing(_ chaos: Chaos) async throws {
        let requests = Self.requests(300, seed: 7)
        let engine = try makeTestEngine()
        let expected = try await Self.answerAll(engine, requests)
        await engine.shutdown(deadline: .seconds(1))

        let fleet = try Fleet(
            members: chaos.members, deaths: 40, death: chaos.death, cause: chaos.cause,
            policy: chaos.policy.makePolicy(seed: 1))
        let found = try await Self.answerAll(fleet.pool, requests)
        for (index, answers) in found.enumerated() { #expect(answers == expected[index], "request \(index)") }
        let snapshot = fleet.pool.snapshot()
        #expect(snapshot.open == 0 && snapshot.waiting == 0)
        #expect(snapshot.members.allSatisfy { $0.outstandingTokens == 0 && $0.outstandingSequences == 0 })
        #expect(snapshot.losses[chaos.cause, default: 0] >= 20)
        #expect(snapshot.resumptions[.resumed, default: 0] > 20)
        #expect(snapshot.resumptions[.failed] == nil)
        let finished = fleet.pool.statistics().finished
        #expect(finished.values.reduce(0, +) == UInt64(requests.reduce(0) { $0 + $1.sampleCount }))
        fleet.stop()
    }

    @Test(arguments: [1, 2, 3]) func aRequestThatCrashesWorkersIsRefusedAndNoOther(members: Int) async throws {
        let requests = Self.requests(40, seed: 9)
        let engine = try makeTestEngine()
        let expected = try await Self.answerAll(engine, requests)
        await engine.shutdown(deadline: .seconds(1))

        let fleet = try Fleet(
            members: members, deaths: 0, death: .closes, cause: .crashed,
            policy: LeastOutstandingTokens(), poison: 13)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let found = try await Self.answerAll(fleet.pool, requests)
                for (index, answers) in found.enumerated() { #expect(answers == expected[index], "request \(index)") }
            }
            for _ in 0..<2 {
                group.addTask {
                    var poison = requests[0]
                    poison.prompt = [13, 1, 2]
                    let error = await #expect(throws: EngineError.self) { try await answers(fleet.pool, poison) }
                    #expect(error?.code == .requestCrashedWorker)
                }
            }
            try await group.waitForAll()
        }
        #expect(fleet.pool.snapshot().refusedRequests == 2)
        #expect(fleet.pool.snapshot().hasQuarantine == false)
        #expect((4...8).contains(fleet.deaths))
        fleet.stop()
    }

    @Test func membersComeAndGoAsPlanned() async throws {
        let requests = Self.requests(200, seed: 11)
        let engine = try makeTestEngine()
        let expected = try await Self.answerAll(engine, requests)
        await engine.shutdown(deadline: .seconds(1))

        var options = PoolOptions()
        options.endTokens = [63]
        let pool = WorkerPool(limits: testLimits, policy: PrefixAffinity(), options: options)
        var members: [Engine] = []
        async let found = Self.answerAll(pool, requests)
        while members.count < 25 {
            let member = try makeTestEngine()
            members.append(member)
            pool.add(member: member, id: "\(members.count % 2)")
            try await Task.sleep(for: .milliseconds(3))
        }
        let answers = try await found
        for (index, answer) in answers.enumerated() { #expect(answer == expected[index], "request \(index)") }
        #expect(pool.snapshot().losses.isEmpty)
        pool.stop()
        for member in members { member.stop() }
    }
}
