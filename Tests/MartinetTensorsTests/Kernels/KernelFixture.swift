import CMartinetKernels
import Foundation
import MartinetTensors
import Testing

/// A vector instruction set to test; those that the machine lacks do not appear.
struct KernelTable: Sendable, CustomTestStringConvertible {
    let isa: Int32
    var testDescription: String { String(cString: mk_isa_name(isa)) }

    var kernels: mk_kernels { get throws { try #require(mk_kernels_for(isa)).pointee } }

    static let scalar = KernelTable(isa: Int32(MK_ISA_SCALAR))
    /// Every table this machine has, the scalar one first.
    static let all = (0..<Int32(MK_ISA_COUNT)).map { KernelTable(isa: $0) }.filter { mk_kernels_for($0.isa) != nil }
}

/// A small generator with a fixed sequence, so that failures repeat.
struct FixedRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
}

/// Weights of one type, some rows of them.
struct TestWeights {
    let type: ElementType
    let rows: Int
    let columns: Int
    let rowBytes: Int
    var bytes: [UInt8]

    var code: Int32 { Int32(type.rawValue) }

    /// Random blocks; `scale` makes the half-precision scales of each.
    init(
        _ type: ElementType, rows: Int, columns: Int, random: inout FixedRandom,
        scale: (inout FixedRandom) -> Float = { Float.random(in: -0.02...0.02, using: &$0) }
    ) throws {
        self.type = type
        self.rows = rows
        self.columns = columns
        rowBytes = try #require(type.byteCount(elements: columns))
        bytes = random.bytes(rows * rowBytes)
        let offsets: [Int]
        switch type {
        case .float32, .float16, .bfloat16: offsets = [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: offsets = [0, 2]
        case .q2_K: offsets = [80, 82]
        case .q3_K: offsets = [108]
        case .q6_K: offsets = [208]
        default: offsets = [0]
        }
        for block in stride(from: 0, to: bytes.count, by: type.bytesPerBlock) {
            for offset in offsets {
                let value = scale(&random)
                switch type {
                case .float32: put(value.bitPattern, at: block)
                case .bfloat16: put(UInt16(value.bitPattern >> 16), at: block)
                default: put(mk_f32_to_f16(value), at: block + offset)
                }
            }
        }
    }

    private mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        withUnsafeBytes(of: value.littleEndian) { for (i, byte) in $0.enumerated() { bytes[offset + i] = byte } }
    }
}

extension mk_kernels {
    /// The packed rows of `x`, and the bytes of one.
    func packed(_ weights: TestWeights, _ x: [Float]) -> (bytes: [UInt8], stride: Int) {
        let tokens = x.count / weights.columns
        let stride = activation_bytes(weights.code, weights.columns)
        var packed = [UInt8](repeating: 0, count: stride * tokens)
        for t in 0..<tokens {
            var row = [UInt8](repeating: 0, count: stride)
            pack_activations(
                weights.code, Array(x[t * weights.columns..<(t + 1) * weights.columns]), &row, weights.columns)
            packed.replaceSubrange(t * stride..<(t + 1) * stride, with: row)
        }
        return (packed, stride)
    }

    /// Products of `rows` with the tokens of a packed batch; outputs elsewhere stay NaN.
    func product(
        _ weights: TestWeights, _ packed: (bytes: [UInt8], stride: Int), rows: Range<Int>? = nil,
        tokens: Range<Int>? = nil, bias: [Float]? = nil, adding: [Float]? = nil
    ) -> [Float] {
        let range = rows ?? 0..<weights.rows
        let tokens = tokens ?? 0..<packed.bytes.count / packed.stride
        var out = adding ?? [Float](repeating: .nan, count: tokens.count * weights.rows)
        let bytes = Array(packed.bytes[tokens.lowerBound * packed.stride..<tokens.upperBound * packed.stride])
        let (matrix, stride) = panels(of: weights)
        matmul(
            weights.code, matrix, stride, range.lowerBound, range.upperBound, weights.columns, bytes,
            packed.stride, tokens.count, bias, adding != nil, &out, weights.rows)
        return out
    }

    /// The weights as `matmul` reads them, and the bytes from one panel or row to the next.
    func panels(of weights: TestWeights) -> (bytes: [UInt8], stride: Int) {
        let stride = panel_bytes(weights.code, weights.columns)
        guard stride > 0 else { return (weights.bytes, weights.rowBytes) }
        var result: [UInt8] = []
        for row in Swift.stride(from: 0, to: weights.rows, by: panel_rows) {
            var panel = [UInt8](repeating: 0xee, count: stride)
            let rows = min(panel_rows, weights.rows - row)
            let bytes = Array(weights.bytes[row * weights.rowBytes..<(row + rows) * weights.rowBytes])
            make_panel(weights.code, bytes, weights.rowBytes, rows, weights.columns, &panel)
            result += panel
        }
        return (result, stride)
    }

    func exactProduct(_ weights: TestWeights, _ x: [Float], rows: Range<Int>? = nil, tokens: Range<Int>? = nil)
        -> [Float]
    {
        let range = rows ?? 0..<weights.rows
        let tokens = tokens ?? 0..<x.count / weights.columns
        var out = [Float](repeating: .nan, count: tokens.count * weights.rows)
        let floats = Array(x[tokens.lowerBound * weights.columns..<tokens.upperBound * weights.columns])
        matmul_exact(
            weights.code, weights.bytes, weights.rowBytes, range.lowerBound, range.upperBound, weights.columns, floats,
            weights.columns, tokens.count, nil, false, &out, weights.rows)
        return out
    }
}

/// The largest difference relative to the root mean square of `expected`; infinite where one is NaN and the other not,
/// or where infinities differ.
func relativeError(_ actual: [Float], _ expected: [Float]) -> Double {
    guard actual.count == expected.count else { return .infinity }
    let finite = expected.filter(\.isFinite)
    let mean = finite.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, finite.count))
    var worst = 0.0
    for (a, e) in zip(actual, expected) where !(a == e || (a.isNaN && e.isNaN)) {
        let difference = abs(Double(a) - Double(e)) / max(mean.squareRoot(), 1e-30)
        worst = max(worst, difference.isNaN ? .infinity : difference)
    }
    return worst
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
