/// A place in a text: a position in a routine, and the frame that says where to go on when the routine ends.
struct Configuration: Hashable, Comparable {
    /// Where every text ends: not in a routine.
    static let bottom = Configuration(position: -1, frame: 0)

    let position: Int32
    let frame: Int32

    static func < (left: Configuration, right: Configuration) -> Bool {
        left.position == right.position ? left.frame < right.frame : left.position < right.position
    }
}

/// The frames of calls in progress. A frame is the set of places where matching may go on, each with a frame of its own:
/// one for each way to read the text so far. Equal frames are one.
///
/// Frame 0 is the bottom: the one place to go on from it is the end.
struct FrameStore {
    private var entries: [Configuration] = [.bottom]
    private var ends: [Int32] = [1]
    /// Frames by hash, -1 where there is none; its count is a power of two.
    private var table = [Int32](repeating: -1, count: 16)

    /// Frames, the bottom included.
    var count: Int { ends.count }

    /// The places to go on from.
    func places(_ frame: Int32) -> ArraySlice<Configuration> {
        entries[(frame == 0 ? 0 : Int(ends[Int(frame) - 1]))..<Int(ends[Int(frame)])]
    }

    /// The frame of some places, which must be in order and differ.
    mutating func frame(_ places: [Configuration]) -> Int32 {
        if places.count == 1, places[0] == .bottom { return 0 }
        var slot = Self.hash(places) & (table.count - 1)
        while table[slot] >= 0 {
            if self.places(table[slot]).elementsEqual(places) { return table[slot] }
            slot = (slot + 1) & (table.count - 1)
        }
        let number = Int32(ends.count)
        entries += places
        ends.append(Int32(entries.count))
        table[slot] = number
        if ends.count * 2 > table.count { grow() }
        return number
    }

    private mutating func grow() {
        table = [Int32](repeating: -1, count: table.count * 2)
        for frame in 1..<Int32(ends.count) {
            var slot = Self.hash(places(frame)) & (table.count - 1)
            while table[slot] >= 0 { slot = (slot + 1) & (table.count - 1) }
            table[slot] = frame
        }
    }

    private static func hash(_ places: some Sequence<Configuration>) -> Int {
        var hash: UInt64 = 0
        for place in places {
            let word = UInt64(UInt32(bitPattern: place.position)) << 32 | UInt64(UInt32(bitPattern: place.frame))
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        return Int(truncatingIfNeeded: hash >> 8)
    }

    /// Drops the frames that some configurations do not lead to, and says them in the new numbers.
    mutating func compact(keeping configurations: inout [Configuration]) {
        var kept = [Bool](repeating: false, count: count)
        kept[0] = true
        for configuration in configurations { kept[Int(configuration.frame)] = true }
        // A frame is newer than those it leads to.
        for frame in stride(from: count - 1, to: 0, by: -1) where kept[frame] {
            for place in places(Int32(frame)) { kept[Int(place.frame)] = true }
        }
        var store = FrameStore()
        var numbers = [Int32](repeating: 0, count: count)
        for frame in 1..<max(1, count) where kept[frame] {
            numbers[frame] = store.frame(
                places(Int32(frame)).map { Configuration(position: $0.position, frame: numbers[Int($0.frame)]) }.sorted())
        }
        configurations = configurations.map {
            Configuration(position: $0.position, frame: numbers[Int($0.frame)])
        }.sorted()
        self = store
    }
}
