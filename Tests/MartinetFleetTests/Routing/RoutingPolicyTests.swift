import MartinetEngine
import MartinetFleet
import Testing

@Suite struct RoutingPolicyTests {
    private func candidates(_ loads: [Int]) -> [RoutingCandidate] {
        loads.enumerated().map { RoutingCandidate(id: "\($0.offset)", outstandingTokens: $0.element) }
    }

    @Test(arguments: RoutingPolicyName.allCases)
    func everyPolicyChoosesOneOfThose(name: RoutingPolicyName) {
        let policy = name.makePolicy(seed: 1)
        var random = SeededGenerator(seed: 1)
        for round in 0..<500 {
            let loads = (0..<Int.random(in: 1...5, using: &random)).map { _ in Int.random(in: 0...9999, using: &random)
            }
            let key = RoutingKey(
                tokens: (0..<(round % 70)).map { Int32($0 % 3) }, salt: round % 2 == 0 ? "salt" : nil,
                session: round % 3 == 0 ? "s\(round % 7)" : nil)
            #expect(loads.indices.contains(policy.choose(among: candidates(loads), for: key)))
            policy.forget("\(round % 5)")
        }
    }

    @Test func roundRobinTakesTurns() {
        let policy = RoundRobin()
        #expect(
            (0..<5).map { _ in policy.choose(among: candidates([9, 0, 5]), for: RoutingKey()) } == [0, 1, 2, 0, 1])
    }

    @Test func leastOutstandingTokensTakesTheFirstOfTheLeast() {
        let policy = LeastOutstandingTokens()
        #expect(policy.choose(among: candidates([5, 2, 7, 2]), for: RoutingKey()) == 1)
    }

    @Test func powerOfTwoChoicesIsNearlyEven() {
        let policy = PowerOfTwoChoices(seed: 3)
        var loads = [0, 0, 0, 0]
        for _ in 0..<4000 { loads[policy.choose(among: candidates(loads), for: RoutingKey())] += 1 }
        #expect(loads.allSatisfy { (980...1020).contains($0) }, "\(loads)")
        let again = PowerOfTwoChoices(seed: 3)
        let other = PowerOfTwoChoices(seed: 3)
        let draws = { (policy: PowerOfTwoChoices) in
            (0..<50).map { _ in policy.choose(among: candidates([1, 1, 1]), for: RoutingKey()) }
        }
        #expect(draws(again) == draws(other))
    }

    @Test func aSessionStaysAndAMemberThatGoesMovesOnlyItsOwn() {
        let policy = ConsistentHash()
        let all = candidates([0, 0, 0, 0])
        let less = all.filter { $0.id != "2" }
        var counts = [0, 0, 0, 0]
        for session in 0..<1000 {
            let key = RoutingKey(session: "session-\(session)")
            let chosen = policy.choose(among: all, for: key)
            counts[chosen] += 1
            #expect(policy.choose(among: all, for: key) == chosen)
            if all[chosen].id != "2" { #expect(less[policy.choose(among: less, for: key)].id == all[chosen].id) }
        }
        #expect(counts.allSatisfy { (180...320).contains($0) }, "\(counts)")
    }

    @Test func aSessionLeavesAMemberWithTooMuchToDo() {
        let policy = ConsistentHash()
        let key = RoutingKey(session: "one")
        let home = policy.choose(among: candidates([0, 0]), for: key)
        var loads = [1000, 1000]
        loads[home] = 9000
        #expect(policy.choose(among: candidates(loads), for: key) == 1 - home)
        #expect(policy.choose(among: candidates([7, 3]), for: RoutingKey()) == 1)
    }

    @Test func affinityFollowsTheLongestPrefix() {
        let policy = PrefixAffinity()
        let prompt = (0..<64).map { Int32($0) }
        #expect(policy.choose(among: candidates([5, 0]), for: RoutingKey(tokens: prompt)) == 1)
        // The same beginning goes there, though the other has less to do; another salt shares nothing.
        let longer = RoutingKey(tokens: prompt + prompt)
        #expect(policy.choose(among: candidates([0, 100]), for: longer) == 1)
        #expect(policy.choose(among: candidates([0, 100]), for: RoutingKey(tokens: prompt, salt: "a")) == 0)
        // Not where it is a hot spot.
        #expect(policy.choose(among: candidates([0, 4000]), for: RoutingKey(tokens: prompt)) == 0)
        policy.forget("1")
        #expect(policy.choose(among: candidates([50, 100]), for: longer) == 0)
    }

    @Test func affinityForgetsWhatIsOld() {
        let policy = PrefixAffinity(tokensPerMember: 144)
        func prompt(_ number: Int32) -> RoutingKey { RoutingKey(tokens: Array(repeating: number, count: 48)) }
        let home = candidates([0, 1])
        #expect(policy.choose(among: home, for: prompt(1)) == 0)
        for number in 2...4 { #expect(policy.choose(among: home, for: prompt(Int32(number))) == 0) }
        // Three prompts fit; the first is gone.
        #expect(policy.choose(among: candidates([1, 0]), for: prompt(4)) == 0)
        #expect(policy.choose(among: candidates([1, 0]), for: prompt(1)) == 1)
    }
}
