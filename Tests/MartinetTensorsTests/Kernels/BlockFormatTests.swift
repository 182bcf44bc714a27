import CMartinetKernels
import Foundation
import MartinetTensors
import Testing

@Suite struct BlockFormatTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        let type: Int32
        let name: String
        let ordinary: Bool
        let bytes: Data
        let values: Data
        var testDescription: String { name + (ordinary ? "" : ", arbitrary bytes") }
    }

    static func cases() throws -> [Case] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/blocks.json")
        return try JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
    }

    /// Bit for bit the values of the Python package `gguf`; any NaN stands for any other.
    @Test(arguments: try BlockFormatTests.cases())
    func dequantisesLikeTheReference(_ block: Case) throws {
        let expected = block.values.withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) }
        var actual = [Float](repeating: 0, count: expected.count)
        let known = block.bytes.withUnsafeBytes { bytes in
            mk_dequantize_row(block.type, bytes.baseAddress, &actual, expected.count)
        }
        #expect(known)
        let wrong = zip(actual, expected).filter { a, e in
            a.bitPattern != e && !(a.isNaN && Float(bitPattern: e).isNaN)
        }
        #expect(wrong.isEmpty, "first: \(wrong.first.map { "\($0.0) for \(Float(bitPattern: $0.1))" } ?? "")")
    }

    @Test func coversEveryType() throws {
        let types = Set(try Self.cases().map { UInt32($0.type) })
        #expect(types == Set(ElementType.allCases.map(\.rawValue)))
    }

    @Test(arguments: [-1, 4, 5, 9, 15, 31, 1000] as [Int32])
    func refusesUnknownTypes(type: Int32) {
        var out: Float = 0
        #expect(!mk_dequantize_row(type, [UInt8](repeating: 0, count: 64), &out, 1))
        #expect(KernelTable.all.allSatisfy { mk_kernels_for($0.isa)?.pointee.activation_bytes(type, 256) == 0 })
    }

    @Test func halvesRoundTrip() {
        for pattern in UInt16.min...UInt16.max {
            let value = mk_f16_to_f32(pattern)
            let expected = Float(Float16(bitPattern: pattern))
            #expect(value.bitPattern == expected.bitPattern || (value.isNaN && expected.isNaN))
            #expect(mk_f32_to_f16(value) == pattern || (value.isNaN && pattern & 0x7fff > 0x7c00))
        }
    }

    @Test func floatsRoundToHalvesLikeTheProcessor() {
        var random = FixedRandom(state: 7)
        var patterns = (0..<100_000).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
        // Around every boundary: halfway cases, the smallest subnormal, the largest finite.
        patterns += (0..<65536).flatMap { high in [0x0fff, 0x1000, 0x1001, 0x3000].map { UInt32(high) << 16 | $0 } }
        for pattern in patterns {
            let value = Float(bitPattern: pattern)
            let expected = Float16(value)
            let actual = Float16(bitPattern: mk_f32_to_f16(value))
            #expect(actual.bitPattern == expected.bitPattern || (actual.isNaN && expected.isNaN), "\(value)")
        }
    }
}
