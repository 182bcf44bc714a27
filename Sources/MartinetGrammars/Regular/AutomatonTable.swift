/// A deterministic automaton as a plain table, to be minimised.
struct AutomatonTable {
    let width: Int
    /// `width` states to go to for each state; negative for none.
    let next: [Int32]
    let accepting: [Bool]

    /// The smallest automaton of the same language, without states that lead to no end. State 0 stays the start.
    func minimised(_ effort: Effort) throws(GrammarError) -> AutomatonTable {
        let count = accepting.count
        try effort.check(states: count)
        try effort.spend(count * width * 4 + count)
        let sources = predecessors()
        guard let live = liveStates(sources) else { return AutomatonTable(width: width, next: [], accepting: []) }
        // Hopcroft's refinement; the state `count` stands for "nowhere".
        var blocks = Blocks(kinds: (0...count).map { $0 == count || !live[$0] ? 2 : accepting[$0] ? 0 : 1 })
        var waiting = [0, 1, 2]
        var isWaiting = [true, true, true]
        while let splitter = waiting.popLast() {
            isWaiting[splitter] = false
            let members = Array(blocks.members(splitter))
            try effort.spend(members.count * width + 1)
            for symbol in 0..<width {
                var touched: [Int] = []
                for member in members {
                    let slot = member * width + symbol
                    for index in sources.starts[slot]..<sources.starts[slot + 1] {
                        if let block = blocks.mark(Int(sources.states[index])) { touched.append(block) }
                    }
                }
                for block in touched {
                    guard let fresh = blocks.splitMarked(block) else { continue }
                    isWaiting.append(false)
                    try effort.spend(blocks.members(fresh).count)
                    let freshIsSmaller = blocks.members(fresh).count <= blocks.members(block).count
                    let chosen = isWaiting[block] || freshIsSmaller ? fresh : block
                    waiting.append(chosen)
                    isWaiting[chosen] = true
                }
            }
        }
        return collapsed(blocks, nowhere: blocks.blockOf[count])
    }

    /// One state for each block but that of "nowhere"; the start's comes first.
    private func collapsed(_ blocks: Blocks, nowhere: Int) -> AutomatonTable {
        let start = blocks.blockOf[0]
        let kept = [start] + blocks.indices.filter { $0 != nowhere && $0 != start && !blocks.members($0).isEmpty }
        var numbers = [Int32](repeating: -1, count: blocks.indices.count)
        for (number, block) in kept.enumerated() { numbers[block] = Int32(number) }
        let states = kept.map { blocks.members($0)[blocks.members($0).startIndex] }
        var rows: [Int32] = []
        rows.reserveCapacity(kept.count * width)
        for state in states {
            for symbol in 0..<width {
                let target = next[state * width + symbol]
                rows.append(target < 0 ? -1 : numbers[blocks.blockOf[Int(target)]])
            }
        }
        return AutomatonTable(width: width, next: rows, accepting: states.map { accepting[$0] })
    }

    /// A partition of states in which marking and splitting cost what they touch.
    private struct Blocks {
        private(set) var blockOf: [Int]
        private var order: [Int]
        private var places: [Int]
        private var ranges: [Range<Int>] = []
        private var marked: [Int]

        /// Blocks 0, 1 and 2, some possibly empty.
        init(kinds: [Int]) {
            blockOf = kinds
            order = (0..<3).flatMap { kind in kinds.indices.filter { kinds[$0] == kind } }
            places = kinds
            for (place, state) in order.enumerated() { places[state] = place }
            var start = 0
            for kind in 0..<3 {
                let end = start + kinds.count { $0 == kind }
                ranges.append(start..<end)
                start = end
            }
            marked = [0, 0, 0]
        }

        var indices: Range<Int> { ranges.indices }
        func members(_ block: Int) -> ArraySlice<Int> { order[ranges[block]] }

        /// Marks a state; its block when it is the block's first.
        mutating func mark(_ state: Int) -> Int? {
            let block = blockOf[state]
            let target = ranges[block].lowerBound + marked[block]
            let place = places[state]
            guard place >= target else { return nil }
            order.swapAt(place, target)
            places[order[place]] = place
            places[state] = target
            marked[block] += 1
            return marked[block] == 1 ? block : nil
        }

        /// Moves the marked states to a new block; `nil` when all are.
        mutating func splitMarked(_ block: Int) -> Int? {
            let count = marked[block]
            marked[block] = 0
            guard count < ranges[block].count else { return nil }
            let middle = ranges[block].lowerBound + count
            let fresh = ranges.count
            ranges.append(ranges[block].lowerBound..<middle)
            marked.append(0)
            ranges[block] = middle..<ranges[block].upperBound
            for place in ranges[fresh] { blockOf[order[place]] = fresh }
            return fresh
        }
    }

    private struct Predecessors {
        /// Where the sources of (state, symbol) start; one more at the end.
        var starts: [Int]
        var states: [Int32]
    }

    /// The states from which each (state, symbol) is reached; the state `count` stands for "nowhere".
    private func predecessors() -> Predecessors {
        let count = accepting.count
        var starts = [Int](repeating: 0, count: (count + 1) * width + 1)
        func slot(_ state: Int, _ symbol: Int) -> Int {
            let target = next[state * width + symbol]
            return (target < 0 ? count : Int(target)) * width + symbol
        }
        for state in 0..<count {
            for symbol in 0..<width { starts[slot(state, symbol) + 1] += 1 }
        }
        for symbol in 0..<width { starts[count * width + symbol + 1] += 1 }
        for index in 1..<starts.count { starts[index] += starts[index - 1] }
        var filled = starts
        var states = [Int32](repeating: 0, count: starts[starts.count - 1])
        for state in 0..<count {
            for symbol in 0..<width {
                let place = slot(state, symbol)
                states[filled[place]] = Int32(state)
                filled[place] += 1
            }
        }
        for symbol in 0..<width { states[filled[count * width + symbol]] = Int32(count) }
        return Predecessors(starts: starts, states: states)
    }

    /// Which states lead to an end; `nil` when the start does not.
    private func liveStates(_ sources: Predecessors) -> [Bool]? {
        var live = accepting
        var queue = accepting.indices.filter { accepting[$0] }
        while let state = queue.popLast() {
            for index in sources.starts[state * width]..<sources.starts[(state + 1) * width] {
                let source = Int(sources.states[index])
                guard source < accepting.count, !live[source] else { continue }
                live[source] = true
                queue.append(source)
            }
        }
        return live.first == true ? live : nil
    }
}
