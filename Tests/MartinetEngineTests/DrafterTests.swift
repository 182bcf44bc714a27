import MartinetEngine
import Testing

@Suite struct TokenHistoryTests {
    @Test func findsTheLongestAndLatestPlace() {
        var history = TokenHistory(lengths: 2...4)
        // 1 2 3 stands twice, 2 3 a third time behind.
        let tokens: [Int32] = [1, 2, 3, 10, 1, 2, 3, 11, 9, 2, 3, 12, 1, 2, 3]
        #expect(history.match(tokens) == .init(next: 7, length: 3))
        #expect(history.match(tokens + [11, 9, 2, 3]) == .init(next: 11, length: 4))
        #expect(history.match(tokens + [11, 9, 2, 3, 77]) == nil)
    }

    @Test(arguments: [[], [1], [1, 1]] as [[Int32]]) func findsNothingInTooFewTokens(tokens: [Int32]) {
        var history = TokenHistory(lengths: 2...4)
        #expect(history.match(tokens) == nil)
    }

    @Test func aRepeatedTokenFollowsItself() {
        var history = TokenHistory(lengths: 2...4)
        #expect(history.match([5, 5, 5]) == .init(next: 2, length: 2))
    }

    @Test(arguments: [1...1, 2...8, 3...16]) func isRightWhileItGrows(lengths: ClosedRange<Int>) {
        var random = SeededGenerator(seed: 7)
        var history = TokenHistory(lengths: lengths)
        var tokens: [Int32] = []
        var found = 0
        for step in 0..<3000 {
            // In steps of several tokens too, and with many repetitions.
            for _ in 0..<(step % 4) { tokens.append(Int32.random(in: 0..<6, using: &random)) }
            if step % 50 == 0, tokens.count > 100 { tokens += tokens[20..<60] }
            guard let match = history.match(tokens) else { continue }
            found += 1
            #expect(lengths.contains(match.length))
            #expect(match.next < tokens.count)
            let there = tokens[..<match.next].suffix(match.length)
            #expect(there.elementsEqual(tokens.suffix(match.length)))
        }
        #expect(found > 100)
    }
}

@Suite struct StepLoadTests {
    /// A guess is worth more, the fewer rows the step has.
    @Test(arguments: [(1, 0.25, true), (1, 0.2, false), (8, 0.85, true), (8, 0.75, false), (21, 1, false)])
    func fewRowsAllowWildGuesses(rows: Int, probability: Double, pays: Bool) {
        var load = StepLoad(rows: rows)
        #expect(load.add(probability: probability) == pays)
        #expect(load.rows == Double(pays ? rows + 1 : rows))
        #expect(load.expected == Double(rows) + (pays ? probability : 0))
    }
}

@Suite struct DrafterTests {
    private func drafts(_ drafter: Drafter, _ tokens: [Int32], rows: Int = 1, limit: Int = 100) -> [Int32] {
        var load = StepLoad(rows: rows)
        return drafter.draft(tokens, limit: limit, load: &load)
    }

    /// Feeds tokens one by one, as the engine does.
    private func feed(_ drafter: inout Drafter, _ tokens: inout [Int32], _ more: some Sequence<Int32>) {
        for token in more {
            tokens.append(token)
            drafter.observe(tokens)
        }
    }

    @Test func aTextThatRepeatsIsGuessedAhead() {
        var drafter = Drafter(maxDraftTokens: 8, matching: 2...8)
        var tokens: [Int32] = (0..<20).map { $0 }
        feed(&drafter, &tokens, [50, 51])
        #expect(drafts(drafter, tokens).isEmpty)
        feed(&drafter, &tokens, 0..<8)
        #expect(drafts(drafter, tokens) == [8, 9, 10, 11])
        // The more often it was right, the further it goes.
        for _ in 0..<10 { feed(&drafter, &tokens, Array(8..<20) + Array(0..<8)) }
        #expect(drafts(drafter, tokens) == [8, 9, 10, 11, 12, 13, 14, 15])
        #expect(drafts(drafter, tokens, limit: 3) == [8, 9, 10])
        #expect(drafts(drafter, tokens, limit: 0).isEmpty)
        #expect(drafts(drafter, tokens, limit: -1).isEmpty)
    }

    @Test func guessesGoOnWhereTheTextEnds() {
        var drafter = Drafter(maxDraftTokens: 5, matching: 2...8)
        var tokens: [Int32] = []
        feed(&drafter, &tokens, Array(repeating: [7, 8], count: 20).joined())
        #expect(drafts(drafter, tokens) == [7, 8, 7, 8, 7])
    }

    @Test func whatIsNeverRightIsNotGuessedAndBeginsAgain() {
        var drafter = Drafter(maxDraftTokens: 8, matching: 2...8)
        var tokens: [Int32] = []
        // The pair 1 2 stands everywhere, and something else follows each time.
        for index in 0..<100 { feed(&drafter, &tokens, [1, 2, Int32(100 + index)]) }
        feed(&drafter, &tokens, [1, 2])
        #expect(drafts(drafter, tokens).isEmpty)
        // Now always the same: nothing was verified, yet it is learnt.
        for _ in 0..<60 { feed(&drafter, &tokens, [1, 2, 3, 4, 5, 6, 7, 9]) }
        #expect(drafts(drafter, tokens).count == 8)
    }

    @Test func manyRowsRaiseTheBar() {
        var drafter = Drafter(maxDraftTokens: 8, matching: 2...8)
        var tokens: [Int32] = []
        for _ in 0..<20 { feed(&drafter, &tokens, 0..<10) }
        let counts = [1, 16, 256].map { drafts(drafter, tokens, rows: $0).count }
        #expect(counts[0] == 8)
        #expect(counts == counts.sorted(by: >))
        #expect(counts[2] == 0)
    }
}
