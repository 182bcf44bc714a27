/// The masks of one grammar, made by walking the trie and kept.
///
/// A mask is kept for a position, not for a whole stack of frames. The walk from a position learns which tokens stay
/// inside its routine, and at which nodes of the trie the routine may end with bytes of a token left: its exits. Only
/// those are walked on from, at the places to go on to in the frame at hand, and that is kept as well, by position. So
/// masks are found again at whatever depth, and behind whatever came before.
struct MaskTable {
    private struct Base {
        let mask: TokenMask
        let exits: Int32
    }

    private struct Beyond {
        let tokens: [Int32]
        let exits: Int32
    }

    private struct BeyondKey: Hashable {
        let exits: Int32
        let position: Int32
    }

    /// The most bytes that are kept, roughly.
    private static let byteLimit = 16 << 20
    /// No exits.
    private static let none: Int32 = 0

    private var bases: [Int32: Base] = [:]
    private var beyonds: [BeyondKey: Beyond] = [:]
    private var exitLists: [[Int32]] = [[]]
    private var exitNumbers: [[Int32]: Int32] = [[]: 0]
    private var size = 0
    private var walk = TrieWalk()

    /// The tokens that may follow, the end tokens left out.
    ///
    /// - Parameters:
    ///   - open: all places where matching may go on, returns taken.
    mutating func mask(
        _ open: [Configuration], _ frames: borrowing FrameStore, _ positions: inout PositionTable, _ trie: TokenTrie,
        count: Int
    ) -> TokenMask {
        if size > Self.byteLimit { forget() }
        var result: TokenMask?
        var seen = Set<BeyondKey>()
        for configuration in open {
            let base = base(positions.alike(configuration.position), &positions, trie, count: count)
            if result == nil { result = base.mask } else { result?.formUnion(base.mask) }
            var pending: [(exits: Int32, frame: Int32)] = [(base.exits, configuration.frame)]
            while let (exits, frame) = pending.popLast() {
                guard exits != Self.none, seen.insert(BeyondKey(exits: exits, position: frame)).inserted else { continue }
                for place in frames.places(frame) where place != .bottom {
                    let beyond = beyond(exits, positions.alike(place.position), &positions, trie)
                    for token in beyond.tokens { result?.insert(token) }
                    pending.append((beyond.exits, place.frame))
                }
            }
        }
        return result ?? TokenMask(count: count)
    }

    private mutating func forget() {
        bases = [:]
        beyonds = [:]
        exitLists = [[]]
        exitNumbers = [[]: 0]
        walk = TrieWalk()
        size = 0
    }

    private mutating func base(
        _ position: Int32, _ positions: inout PositionTable, _ trie: TokenTrie, count: Int
    ) -> Base {
        if let base = bases[position] { return base }
        var mask = TokenMask(count: count)
        var exits: [Int32] = []
        walk.run(trie, 0..<trie.count, from: position, &positions) { tokens in
            for token in tokens { mask.insert(token) }
        } exit: { node in
            exits.append(node)
        }
        let base = Base(mask: mask, exits: number(exits))
        bases[position] = base
        size += mask.words.count * 8 + 64
        return base
    }

    private mutating func beyond(
        _ exits: Int32, _ position: Int32, _ positions: inout PositionTable, _ trie: TokenTrie
    ) -> Beyond {
        let key = BeyondKey(exits: exits, position: position)
        if let beyond = beyonds[key] { return beyond }
        var tokens: [Int32] = []
        var next: [Int32] = []
        let ends = positions.isFinal(position)
        for node in exitLists[Int(exits)] {
            if ends { next.append(node) }
            walk.run(trie, Int(node) + 1..<Int(trie.ends[Int(node)]), from: position, &positions) {
                tokens += $0
            } exit: { node in
                next.append(node)
            }
        }
        next.sort()
        let beyond = Beyond(tokens: tokens, exits: number(next))
        beyonds[key] = beyond
        size += tokens.count * 4 + 128
        return beyond
    }

    private mutating func number(_ exits: [Int32]) -> Int32 {
        if let number = exitNumbers[exits] { return number }
        let number = Int32(exitLists.count)
        exitLists.append(exits)
        exitNumbers[exits] = number
        size += exits.count * 8 + 128
        return number
    }
}
