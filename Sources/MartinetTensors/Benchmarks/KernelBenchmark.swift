import CMartinetKernels
import Synchronization

/// Measures the kernels on this machine: bytes of weights a second for one token, operations a second for many.
///
/// ```swift
/// for row in try KernelBenchmark(threadCount: 2).run() { print(row) }
/// ```
public struct KernelBenchmark: Sendable {
    /// What one element type reaches.
    public struct Measurement: Sendable, CustomStringConvertible {
        /// The weights' type.
        public var type: ElementType
        /// Weights read a second by matrix-vector products over memory larger than caches, in 10⁹ bytes.
        public var vectorGigabytesPerSecond: Double
        /// Operations a second of products with ``KernelBenchmark/tokens`` tokens, in 10⁹; a multiplication and an
        /// addition count as two.
        public var matrixGigaoperationsPerSecond: Double

        /// A line of a table.
        public var description: String {
            "\(type.name)\tone token \(Self.rounded(vectorGigabytesPerSecond)) GB/s\t"
                + "many tokens \(Self.rounded(matrixGigaoperationsPerSecond)) GOPS"
        }

        private static func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
    }

    /// Threads that work together.
    public var threadCount: Int
    /// Bytes of weights for the matrix-vector product; several times the last-level cache measures memory.
    public var workingSet: Int
    /// Tokens of the matrix-matrix product.
    public var tokens: Int
    /// Repetitions; the fastest counts, since a shared machine only ever adds time.
    public var repetitions: Int

    private let columns = 1536

    /// Describes a measurement.
    public init(threadCount: Int = 1, workingSet: Int = 96 << 20, tokens: Int = 512, repetitions: Int = 5) {
        self.threadCount = threadCount
        self.workingSet = workingSet
        self.tokens = tokens
        self.repetitions = repetitions
    }

    /// Measures products of the given types.
    ///
    /// - Throws: ``AllocationError`` where there is no memory for it.
    public func run(types: [ElementType] = ElementType.allCases) throws(AllocationError) -> [Measurement] {
        let team = ThreadTeam(threadCount: threadCount)
        let weights = try AlignedBuffer<UInt8>(count: max(workingSet, 16 << 20))
        // Bytes with a zero in every scale's exponent are ordinary numbers in every format.
        for index in 0..<weights.count { weights.pointer[index] = UInt8(truncatingIfNeeded: index &* 37) & 0x3f }
        var results: [Measurement] = []
        for type in types { results.append(try measure(type, weights, team)) }
        return results
    }

    /// Seconds from handing out a job until every thread of the team has been in it: the median of many jobs that
    /// follow closely on one another, as those of a decoding step do. With more threads than free cores it is the
    /// system's scheduling that is measured.
    public func dispatchLatency() -> Double {
        let team = ThreadTeam(threadCount: threadCount)
        let count = team.threadCount
        let arrived = Atomic<Int>(0)
        var times: [Double] = []
        for _ in 0..<500 {
            arrived.store(0, ordering: .relaxed)
            let time = Self.seconds {
                // No task ends before all have begun, so each has a thread to itself.
                team.run(tasks: count) { _ in
                    arrived.add(1, ordering: .acquiringAndReleasing)
                    while arrived.load(ordering: .acquiring) < count { mk_pause() }
                }
            }
            times.append(time)
        }
        times.sort()
        return times[times.count / 2]
    }

    private func measure(_ type: ElementType, _ weights: AlignedBuffer<UInt8>, _ team: ThreadTeam)
        throws(AllocationError) -> Measurement
    {
        let rowBytes = type.byteCount(elements: columns) ?? 0
        let rows = weights.count / max(1, rowBytes) / 32 * 32
        let code = Int32(type.rawValue)
        let kernels = mk_kernels_best().pointee
        let stride = kernels.activation_bytes(code, columns)
        let height = kernels.panel_rows
        var base = UnsafeRawPointer(weights.pointer)
        var weightStride = kernels.panel_bytes(code, columns)
        let panels = try AlignedBuffer<UInt8>(count: rows / height * weightStride)
        if weightStride > 0 {
            for panel in 0..<rows / height {
                kernels.make_panel(
                    code, weights.pointer + panel * height * rowBytes, rowBytes, height, columns,
                    panels.pointer + panel * weightStride)
            }
            base = UnsafeRawPointer(panels.pointer)
        } else {
            weightStride = rowBytes
        }
        let activations = try AlignedBuffer<Float>(count: columns)
        for index in 0..<columns { activations.pointer[index] = Float(index % 17) - 8 }
        let packed = try AlignedBuffer<UInt8>(count: stride * tokens)
        for token in 0..<tokens {
            kernels.pack_activations(code, activations.pointer, packed.pointer + token * stride, columns)
        }
        let matrixRows = min(rows, 1536)
        let out = try AlignedBuffer<Float>(count: max(rows, matrixRows * tokens))
        let multiply = { (rows: Int, tokens: Int) in
            // Pieces of whole tiles, several for each thread.
            let piece = max(32, (rows / (team.threadCount * 4) + 31) / 32 * 32)
            team.run(tasks: (rows + piece - 1) / piece) { task in
                kernels.matmul(
                    code, base, weightStride, task * piece, min(rows, (task + 1) * piece), self.columns,
                    packed.pointer, stride, tokens, nil, false, out.pointer, rows)
            }
        }
        var vector = Double.infinity
        var matrix = Double.infinity
        for _ in 0..<repetitions {
            vector = min(vector, Self.seconds { multiply(rows, 1) })
            matrix = min(matrix, Self.seconds { multiply(matrixRows, tokens) })
        }
        return Measurement(
            type: type, vectorGigabytesPerSecond: Double(rows * rowBytes) / vector / 1e9,
            matrixGigaoperationsPerSecond: 2 * Double(matrixRows * columns * tokens) / matrix / 1e9)
    }

    private static func seconds(_ body: () -> Void) -> Double {
        ContinuousClock().measure(body) / .seconds(1)
    }
}
