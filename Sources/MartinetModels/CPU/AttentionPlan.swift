import CMartinetKernels

/// How a step's attention is cut into pieces for the threads of a team: runs of tokens of a sequence by KV head, the
/// longest first so that threads end together.
///
/// A piece that alone is a large share of the step is cut along its context too, into the parts that the kernels
/// merge; what comes out is the same bits either way.
struct AttentionPlan {
    /// The tokens of one sequence in a step.
    struct Run {
        var firstToken: Int
        var tokenCount: Int
        /// Of the first token.
        var position: Int
    }

    struct Piece {
        var firstToken: Int
        var tokenCount: Int
        var position: Int
        var keyValueHead: Int
        /// The part of the context; `nil` for all of it.
        var part: Int?
        /// Where the part's states go, in floats.
        var stateOffset = 0
        /// Positions that its tokens see, in all.
        var cost: Int
    }

    /// Parts to merge when all pieces are done: the piece that they make, and how many they are.
    struct Merge {
        var whole: Piece
        var partCount: Int
    }

    private(set) var pieces: [Piece] = []
    private(set) var merges: [Merge] = []
    /// Floats of all states.
    private(set) var stateCount = 0

    /// - Parameters:
    ///   - window: positions that a token sees, itself included; `nil` for all.
    ///   - group: query heads that share a KV head.
    init(runs: [Run], window: Int?, keyValueHeads: Int, group: Int, headSize: Int, threadCount: Int) {
        // Tokens whose query heads the kernel computes side by side.
        let most = max(1, mk_attention_rows(headSize) / group)
        for run in runs {
            // Tokens at the end see most: what is left over goes to the beginning.
            var end = run.tokenCount
            while end > 0 {
                let begin = max(0, end - most)
                let first = run.position + begin
                let seen = (begin..<end).reduce(0) { $0 + min(run.position + $1 + 1, window ?? .max) }
                for head in 0..<keyValueHeads {
                    pieces.append(
                        Piece(
                            firstToken: run.firstToken + begin, tokenCount: end - begin, position: first,
                            keyValueHead: head, cost: seen))
                }
                end = begin
            }
        }
        guard threadCount > 1 else { return }
        split(window: window, group: group, headSize: headSize, threadCount: threadCount)
        deal(threadCount)
    }

    /// Orders the pieces so that each thread's share, which it takes from the front, begins with the longest and holds
    /// as much as the others.
    private mutating func deal(_ threadCount: Int) {
        let sorted = pieces.sorted { $0.cost > $1.cost }
        let starts = (0...threadCount).map { sorted.count * $0 / threadCount }
        var next = 0
        for turn in 0...sorted.count / threadCount {
            for thread in 0..<threadCount where starts[thread] + turn < starts[thread + 1] {
                pieces[starts[thread] + turn] = sorted[next]
                next += 1
            }
        }
    }

    private mutating func split(window: Int?, group: Int, headSize: Int, threadCount: Int) {
        let bearable = pieces.reduce(0) { $0 + $1.cost } / (4 * threadCount)
        let partLength = Int(MK_ATTENTION_PART)
        var whole: [Piece] = []
        for piece in pieces {
            let first = window.map { max(0, piece.position + 1 - $0) } ?? 0
            let last = piece.position + piece.tokenCount - 1
            let parts = first / partLength...last / partLength
            guard piece.cost > bearable, parts.count > 1 else {
                whole.append(piece)
                continue
            }
            merges.append(Merge(whole: piece, partCount: parts.count))
            merges[merges.count - 1].whole.stateOffset = stateCount
            for part in parts {
                var cut = piece
                cut.part = part
                cut.stateOffset = stateCount
                cut.cost = piece.cost / parts.count
                whole.append(cut)
                stateCount += piece.tokenCount * group * mk_attention_state_floats(headSize)
            }
        }
        pieces = whole
    }
}
