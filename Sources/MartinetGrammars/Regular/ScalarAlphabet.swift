/// Unicode scalars in classes: what one automaton need not tell apart is one class.
package struct ScalarAlphabet: Sendable, Hashable {
    /// The first scalar of each stretch, in order from 0.
    let starts: [UInt32]
    /// The class of each stretch.
    let classes: [Int32]
    /// How many classes there are; at least one.
    let count: Int

    /// Stretches with their classes; neighbours of one class are merged, and classes numbered as they come.
    init(stretches: [(start: UInt32, label: Int)]) {
        var starts: [UInt32] = []
        var classes: [Int32] = []
        var numbers: [Int: Int32] = [:]
        for stretch in stretches {
            let number = numbers[stretch.label] ?? Int32(numbers.count)
            numbers[stretch.label] = number
            guard classes.last != number else { continue }
            starts.append(stretch.start)
            classes.append(number)
        }
        self.starts = starts
        self.classes = classes
        count = numbers.count
    }

    /// The coarsest alphabet in which each set is a union of classes, with the classes of each set.
    static func separating(_ sets: [ScalarSet]) -> (alphabet: ScalarAlphabet, members: [[Int]]) {
        var edges: [(at: UInt32, set: Int, enters: Bool)] = []
        for (index, set) in sets.enumerated() {
            for range in set.ranges {
                edges.append((range.lowerBound, index, true))
                edges.append((range.upperBound + 1, index, false))
            }
        }
        edges.sort { $0.at < $1.at }
        var signature = [UInt64](repeating: 0, count: (sets.count + 63) / 64)
        var labels: [[UInt64]: Int] = [:]
        var members = [[Int]](repeating: [], count: sets.count)
        var stretches: [(start: UInt32, label: Int)] = []
        func begin(at start: UInt32) {
            var label = labels[signature]
            if label == nil {
                label = labels.count
                labels[signature] = labels.count
                for set in sets.indices where signature[set / 64] >> UInt64(set % 64) & 1 == 1 {
                    members[set].append(labels.count - 1)
                }
            }
            stretches.append((start, label ?? 0))
        }
        var index = 0
        if edges.first?.at != 0 { begin(at: 0) }
        while index < edges.count, edges[index].at <= 0x10FFFF {
            let start = edges[index].at
            while index < edges.count, edges[index].at == start {
                signature[edges[index].set / 64] ^= 1 << UInt64(edges[index].set % 64)
                index += 1
            }
            begin(at: start)
        }
        return (ScalarAlphabet(stretches: stretches), members)
    }

    /// The class of a scalar.
    func classOf(_ scalar: UInt32) -> Int {
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= scalar { low = middle } else { high = middle }
        }
        return Int(classes[low])
    }

    /// The scalars of each class.
    var sets: [ScalarSet] {
        var ranges = [[ClosedRange<UInt32>]](repeating: [], count: count)
        for index in starts.indices {
            let end = index + 1 < starts.count ? starts[index + 1] - 1 : 0x10FFFF
            ranges[Int(classes[index])].append(starts[index]...end)
        }
        return ranges.map { ScalarSet($0) }
    }

    /// The alphabet that tells apart what either tells apart, and for each of its classes the two it lies in.
    func refined(with other: ScalarAlphabet) -> (alphabet: ScalarAlphabet, pairs: [(Int, Int)]) {
        var stretches: [(start: UInt32, label: Int)] = []
        var pairs: [(Int, Int)] = []
        var seen: Set<Int> = []
        var (mine, theirs) = (0, 0)
        var start: UInt32 = 0
        while true {
            let pair = (Int(classes[mine]), Int(other.classes[theirs]))
            let label = pair.0 * other.count + pair.1
            if seen.insert(label).inserted { pairs.append(pair) }
            stretches.append((start, label))
            let nextMine = mine + 1 < starts.count ? starts[mine + 1] : 0x110000
            let nextTheirs = theirs + 1 < other.starts.count ? other.starts[theirs + 1] : 0x110000
            start = min(nextMine, nextTheirs)
            guard start < 0x110000 else { return (ScalarAlphabet(stretches: stretches), pairs) }
            if nextMine == start { mine += 1 }
            if nextTheirs == start { theirs += 1 }
        }
    }
}
