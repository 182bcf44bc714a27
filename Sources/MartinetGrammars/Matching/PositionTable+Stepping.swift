extension PositionTable {
    /// Where configurations lead to before a byte is read.
    struct Expansion {
        /// The configurations that read bytes.
        var reading: [Configuration]
        /// Whether the text may end here.
        var isComplete: Bool
    }

    /// Configurations, and those that they return to without reading; and whether the bottom is among them.
    func returns(
        from configurations: [Configuration], _ frames: borrowing FrameStore
    ) -> (open: [Configuration], isComplete: Bool) {
        guard configurations.contains(where: { isFinal($0.position) }) else { return (configurations, false) }
        var open = configurations
        var seen = Set(configurations)
        var isComplete = false
        var place = 0
        while place < open.count {
            let configuration = open[place]
            place += 1
            guard isFinal(configuration.position) else { continue }
            for next in frames.places(configuration.frame) {
                if next == .bottom {
                    isComplete = true
                } else if seen.insert(next).inserted {
                    open.append(next)
                }
            }
        }
        return (open, isComplete)
    }

    /// Follows returns and calls.
    mutating func expand(_ configurations: [Configuration], _ frames: inout FrameStore) -> Expansion {
        let (open, isComplete) = returns(from: configurations, frames)
        var reading: [Configuration] = []
        // Routines to call, by rank, each with all that goes on after it: so each is called once.
        var waiting: [(routine: Int32, rank: Int, places: [Configuration])] = []
        func call(from configuration: Configuration, _ table: inout PositionTable, _ frames: FrameStore) {
            if table.readsBytes(configuration.position) { reading.append(configuration) }
            for call in table.calls(configuration.position) {
                let places =
                    call.isLast
                    ? Array(frames.places(configuration.frame))
                    : [Configuration(position: call.next, frame: configuration.frame)]
                let rank = table.rank(call.routine)
                var low = 0
                var high = waiting.count
                while low < high {
                    let middle = (low + high) / 2
                    let other = waiting[middle]
                    if (other.rank, other.routine) < (rank, call.routine) { low = middle + 1 } else { high = middle }
                }
                if low < waiting.count, waiting[low].routine == call.routine {
                    waiting[low].places += places
                } else {
                    waiting.insert((call.routine, rank, places), at: low)
                }
            }
        }
        for configuration in open { call(from: configuration, &self, frames) }
        while let next = waiting.popLast() {
            let start = start(next.routine)
            guard start != Self.none else { continue }
            let frame = frames.frame(next.places.count == 1 ? next.places : next.places.ordered())
            call(from: Configuration(position: start, frame: frame), &self, frames)
        }
        return Expansion(reading: reading, isComplete: isComplete)
    }

    /// Where a byte leads from configurations that read; in order.
    mutating func step(_ reading: [Configuration], _ byte: UInt8) -> [Configuration] {
        var result: [Configuration] = []
        for configuration in reading {
            let next = next(configuration.position, byte)
            if next != Self.none { result.append(Configuration(position: next, frame: configuration.frame)) }
        }
        return result.count < 2 ? result : result.ordered()
    }
}

extension [Configuration] {
    /// In order, each once.
    fileprivate func ordered() -> [Configuration] {
        var result = sorted()
        var kept = 1
        for place in result.indices.dropFirst() where result[place] != result[kept - 1] {
            result[kept] = result[place]
            kept += 1
        }
        result.removeLast(result.count - kept)
        return result
    }
}
