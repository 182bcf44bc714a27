import CMartinetKernels
package import MartinetTensors

/// The CPU: weights keep the file's bits, rearranged for the kernels; operations are split over a thread team.
///
/// One thread at a time uses it, as ``ModelRunner`` says.
package final class CPUBackend: Backend {
    package typealias Matrix = CPUMatrix
    package typealias Vector = CPUVector
    package typealias Activation = CPUActivation

    let kernels: mk_kernels
    let team: ThreadTeam
    let limits: RunnerLimits
    let exact: Bool
    let cache: KeyValueCache
    let headCount: Int
    let interleaved: Bool
    let rotarySize: Int
    private let frequencies: [RotaryFrequencies]

    private var buffers: [AlignedBuffer<Float>] = []
    private var weightBytes = 0
    private var scratchBytes = 0

    /// Rows of the step that runs.
    private var tokenCount = 0
    private var logitRowCount = 0
    private(set) var logitTokens: [Int] = []
    /// By token: its id, its slot in the pool, its position, and where its sequence's block table starts.
    private let tokens: AlignedBuffer<Int32>
    private let slots, positions, tableOffsets: AlignedBuffer<Int>
    /// The step's sequences, and its attention cut into pieces: by window, 0 for none.
    private var runs: [AttentionPlan.Run] = []
    private var attentionPlans: [Int: AttentionPlan] = [:]
    private var attentionStates: AlignedBuffer<Float>
    /// The block tables of the step's sequences, one after the other.
    private var blockTables: AlignedBuffer<Int32>
    /// `[rope][token][rotarySize / 2]`.
    private let cosines, sines: AlignedBuffer<Float>
    /// The packed form of a projection's input; grown while the model is built.
    private var packed: AlignedBuffer<UInt8>
    private let panels: PanelStore

    /// Reserves the pool; activations follow as the model asks for them.
    ///
    /// - Parameters:
    ///   - ropes: the rotations of ``AttentionStep/rope``; they differ in frequencies only.
    ///   - matrices: the tensors that ``matrix(_:)`` will be asked for, so that their memory is reserved at once.
    /// - Throws: ``ModelError`` `invalid_setting` where the options or the sizes are not possible here.
    package init(
        configuration: ModelConfiguration, ropes: [RopeConfiguration], matrices: [TensorView], limits: RunnerLimits,
        options: RunnerOptions
    ) throws(ModelError) {
        try limits.validate()
        kernels = try Self.kernels(options.instructionSet)
        panels = PanelStore(kernels: kernels, expected: matrices)
        let threads = options.threads ?? ThreadTeam.recommendedThreadCount
        guard (1...1024).contains(threads) else {
            throw ModelError(.invalidSetting, "\(threads) threads; the number must be 1...1024")
        }
        team = ThreadTeam(threadCount: threads)
        self.limits = limits
        exact = options.precision == .exact
        cache = try KeyValueCache(configuration: configuration, limits: limits, type: options.storedKeyValueType)
        headCount = configuration.headCount
        frequencies = ropes.map(RotaryFrequencies.init)
        interleaved = configuration.rope.interleaved
        rotarySize = configuration.rope.rotarySize

        var bytes = 0
        func reserve<T: BitwiseCopyable>(_ count: Int) throws(ModelError) -> AlignedBuffer<T> {
            let buffer = try AlignedBuffer<T>.reserve(count)
            bytes += buffer.byteCount
            return buffer
        }
        tokens = try reserve(limits.maxBatchedTokens)
        slots = try reserve(limits.maxBatchedTokens)
        positions = try reserve(limits.maxBatchedTokens)
        tableOffsets = try reserve(limits.maxBatchedTokens)
        cosines = try reserve(ropes.count * limits.maxBatchedTokens * rotarySize / 2)
        sines = try reserve(ropes.count * limits.maxBatchedTokens * rotarySize / 2)
        packed = try reserve(64)
        blockTables = try reserve(1 << 14)
        attentionStates = try reserve(64)
        scratchBytes = bytes
    }

    package var memory: RunnerMemory {
        RunnerMemory(weights: weightBytes, keyValueCache: cache.byteCount, scratch: scratchBytes)
    }

    package func matrix(_ tensor: TensorView) throws(ModelError) -> CPUMatrix {
        let matrix: CPUMatrix
        if exact {
            matrix = CPUMatrix(rowsOf: tensor)
        } else {
            // Projections pack at most a step's tokens of this matrix's columns.
            let row = packedRowBytes(Int32(tensor.type.rawValue), tensor.columns)
            let rows = max(limits.maxBatchedTokens, limits.maxLogitRows)
            if row * rows > packed.byteCount {
                scratchBytes += row * rows - packed.byteCount
                packed = try AlignedBuffer.reserve(row * rows)
            }
            matrix = try panels.matrix(tensor, team: team)
        }
        weightBytes += tensor.byteCount
        return matrix
    }

    package func table(_ tensor: TensorView) -> CPUMatrix { CPUMatrix(rowsOf: tensor) }

    package func vector(_ tensor: TensorView) throws(ModelError) -> CPUVector {
        let count = tensor.rows * tensor.columns
        let floats = try reserve(count)
        for row in 0..<tensor.rows {
            guard
                mk_dequantize_row(
                    Int32(tensor.type.rawValue), tensor.row(row), floats + row * tensor.columns, tensor.columns)
            else { throw ModelError(.invalidModel, "vectors of type \(tensor.type.name) cannot be read") }
        }
        tensor.releasePages()
        weightBytes += count * MemoryLayout<Float>.stride
        scratchBytes -= count * MemoryLayout<Float>.stride
        return CPUVector(base: floats)
    }

    package func activation(width: Int, rows: ActivationRows) throws(ModelError) -> CPUActivation {
        let count = rows == .tokens ? limits.maxBatchedTokens : limits.maxLogitRows
        return CPUActivation(rows: rows, width: width, base: try reserve(count * width))
    }

    package func activations(sharing sets: [[Int]]) throws(ModelError) -> [[CPUActivation]] {
        let widest = sets.map { $0.reduce(0, +) }.max() ?? 0
        let memory = try reserve(limits.maxBatchedTokens * widest)
        return sets.map { widths in
            var base = memory
            return widths.map { width in
                defer { base += limits.maxBatchedTokens * width }
                return CPUActivation(rows: .tokens, width: width, base: base)
            }
        }
    }

    package func logits(width: Int) throws(ModelError) -> CPUActivation { try activation(width: width, rows: .logits) }

    package func rows(of activation: CPUActivation) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: activation.base, count: rowCount(activation) * activation.width)
    }

    func rowCount(_ activation: CPUActivation) -> Int { activation.rows == .tokens ? tokenCount : logitRowCount }

    private func reserve(_ count: Int) throws(ModelError) -> UnsafeMutablePointer<Float> {
        let buffer = try AlignedBuffer<Float>.reserve(count)
        buffers.append(buffer)
        scratchBytes += buffer.byteCount
        return buffer.pointer
    }

    private static func kernels(_ isa: Int32?) throws(ModelError) -> mk_kernels {
        guard let isa else {
            guard let best = mk_kernels_best() else {
                throw ModelError(.invalidSetting, "this build has no kernels for this machine")
            }
            return best.pointee
        }
        guard let table = mk_kernels_for(isa) else {
            throw ModelError(
                .invalidSetting, "this machine cannot run the kernels for \(String(cString: mk_isa_name(isa)))")
        }
        return table.pointee
    }

    /// Bytes from one packed row to the next: whole cache lines.
    func packedRowBytes(_ type: Int32, _ columns: Int) -> Int {
        ((kernels.activation_bytes?(type, columns) ?? 0) + 63) / 64 * 64
    }

    var packedBase: UnsafeMutableRawPointer { UnsafeMutableRawPointer(packed.pointer) }

    static let piecesPerThread = 4
    /// Most pieces that a product is split into.
    var pieceLimit: Int { team.threadCount == 1 ? 1 : Self.piecesPerThread * team.threadCount }

    // MARK: The step

    package func begin(_ batch: ForwardBatch) throws(ModelError) {
        tokenCount = batch.tokens.count
        logitRowCount = batch.logitTokens.count
        logitTokens = batch.logitTokens
        for (index, token) in batch.tokens.enumerated() { tokens.pointer[index] = token }
        let tableCount = batch.slices.reduce(0) { $0 + $1.blocks.count }
        try growBlockTables(to: tableCount)
        runs = batch.slices.map {
            AttentionPlan.Run(firstToken: $0.tokens.lowerBound, tokenCount: $0.tokens.count, position: $0.start)
        }
        attentionPlans.removeAll(keepingCapacity: true)
        let tables = blockTables.pointer
        var tableStart = 0
        for slice in batch.slices {
            for (index, block) in slice.blocks.enumerated() { tables[tableStart + index] = block }
            for (offset, token) in slice.tokens.enumerated() {
                let position = slice.start + offset
                positions.pointer[token] = position
                slots.pointer[token] =
                    Int(slice.blocks[position / limits.blockSize]) * limits.blockSize + position % limits.blockSize
                tableOffsets.pointer[token] = tableStart
                for rope in frequencies.indices {
                    let (cosines, sines) = angles(rope: rope, token: token)
                    frequencies[rope].write(position: position, cos: cosines, sin: sines)
                }
            }
            tableStart += slice.blocks.count
        }
    }

    private func growBlockTables(to count: Int) throws(ModelError) {
        guard count > blockTables.count else { return }
        // Tables are as long as the sequences are: this ends after a few steps.
        let larger: AlignedBuffer<Int32> = try AlignedBuffer.reserve(2 * count)
        scratchBytes += larger.byteCount - blockTables.byteCount
        blockTables = larger
    }

    /// The step's attention in pieces, for layers with a window.
    func attentionPlan(window: Int?, keyValueHeads: Int, headSize: Int) -> AttentionPlan {
        if let plan = attentionPlans[window ?? 0] { return plan }
        func plan(threads: Int) -> AttentionPlan {
            AttentionPlan(
                runs: runs, window: window, keyValueHeads: keyValueHeads, group: headCount / keyValueHeads,
                headSize: headSize, threadCount: threads)
        }
        var chosen = plan(threads: team.threadCount)
        if chosen.stateCount > attentionStates.count {
            if let larger: AlignedBuffer<Float> = try? .reserve(2 * chosen.stateCount) {
                scratchBytes += larger.byteCount - attentionStates.byteCount
                attentionStates = larger
            } else {
                // Without memory for the states of parts, contexts stay whole.
                chosen = plan(threads: 1)
            }
        }
        attentionPlans[window ?? 0] = chosen
        return chosen
    }

    var attentionStateBase: UnsafeMutablePointer<Float> { attentionStates.pointer }

    func token(_ index: Int) -> Int { Int(tokens.pointer[index]) }
    func slot(token: Int) -> Int { slots.pointer[token] }
    func position(token: Int) -> Int { positions.pointer[token] }

    func blockTable(token: Int) -> UnsafePointer<Int32> {
        UnsafePointer(blockTables.pointer) + tableOffsets.pointer[token]
    }

    func angles(rope: Int, token: Int) -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) {
        let offset = (rope * limits.maxBatchedTokens + token) * (rotarySize / 2)
        return (cosines.pointer + offset, sines.pointer + offset)
    }

    // MARK: Splitting work

    /// Runs `body` for each row, over the team where the rows hold enough work.
    ///
    /// - Parameter costFactor: what an element costs, in reads and writes of plain floats.
    func forRows(of activation: CPUActivation, costFactor: Int = 1, _ body: (Int) -> Void) {
        let rows = rowCount(activation)
        guard team.threadCount > 1, rows > 1, rows * activation.width * costFactor > 16384 else {
            for row in 0..<rows { body(row) }
            return
        }
        // Some rows at a time: handing out single ones would cost as much as they do.
        let size = max(1, rows / (4 * team.threadCount))
        team.run(tasks: (rows + size - 1) / size) { piece in
            for row in piece * size..<min(rows, (piece + 1) * size) { body(row) }
        }
    }

    /// Runs `body` for each of `count` pieces of work, over the team where there are several.
    func forPieces(_ count: Int, _ body: (Int) -> Void) {
        guard team.threadCount > 1, count > 1 else {
            for piece in 0..<count { body(piece) }
            return
        }
        team.run(tasks: count, body)
    }
}
