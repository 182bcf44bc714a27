import CMartinetKernels
import MartinetTensors
import Testing

/// Rows of floats to blocks and back.
struct QuantizeTests {
    /// A type and the most that it may lose of normally distributed values, as a share of their root mean square.
    struct Case: Sendable, CustomTestStringConvertible {
        var type: ElementType
        var bound: Double
        var testDescription: String { type.name }

        /// Steps between the least and the largest level of a group.
        var levels: Float {
            switch type {
            case .q4_0, .q4_1, .q4_K: 15
            case .q5_0, .q5_1, .q5_K: 31
            case .q6_K: 63
            default: 254
            }
        }
    }

    /// The bounds lie 2 % above what is measured; rounding to the nearest level without a search is 3 to 13 % worse.
    static let blocks = [
        Case(type: .q8_0, bound: 0.00478), Case(type: .q4_0, bound: 0.0826), Case(type: .q4_1, bound: 0.0702),
        Case(type: .q5_0, bound: 0.0409), Case(type: .q5_1, bound: 0.034), Case(type: .q4_K, bound: 0.0708),
        Case(type: .q5_K, bound: 0.035), Case(type: .q6_K, bound: 0.0172),
    ]
    static let plain = [
        Case(type: .float32, bound: 0), Case(type: .float16, bound: 0.0003), Case(type: .bfloat16, bound: 0.0025),
    ]

    private func quantized(_ values: [Float], _ type: ElementType) -> [UInt8]? {
        guard let count = type.byteCount(elements: values.count) else { return nil }
        // One byte more, to see that it stays.
        var bytes = [UInt8](repeating: 0xA5, count: count + 1)
        let isWritten = mk_quantize_row(Int32(type.rawValue), values, &bytes, values.count)
        #expect(bytes[count] == 0xA5)
        return isWritten ? Array(bytes.dropLast()) : nil
    }

    private func throughBlocks(_ values: [Float], _ type: ElementType) throws -> [Float] {
        let bytes = try #require(quantized(values, type))
        var back = [Float](repeating: .nan, count: values.count)
        #expect(mk_dequantize_row(Int32(type.rawValue), bytes, &back, values.count))
        return back
    }

    private func squares(_ values: some Sequence<Float>) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) } }

    private func normal(_ count: Int, seed: UInt64) -> [Float] {
        var random = FixedRandom(state: seed)
        return (0..<count).map { _ in (random.floats(12, in: -0.5...0.5).reduce(0, +)) * 0.02 }
    }

    @Test(arguments: blocks + plain) func normalValuesLoseLittle(_ test: Case) throws {
        let values = normal(1 << 16, seed: 7)
        let back = try throughBlocks(values, test.type)
        let error = (squares(zip(values, back).map { $0 - $1 }) / squares(values)).squareRoot()
        print("\(test.type.name): relative error \(error)")
        #expect(error <= test.bound)
    }

    /// Heavy tails, few large among many small ones, one sign only, a common offset.
    @Test(arguments: blocks, 0..<4) func noGroupIsWorseThanPlainRounding(_ test: Case, _ kind: Int) throws {
        let values = normal(1 << 12, seed: 3).enumerated().map { index, value in
            switch kind {
            case 0: value * value * value * 1e3
            case 1: index % 37 == 0 ? value * 100 : value
            case 2: abs(value) + 0.001
            default: value - 0.1
            }
        }
        let back = try throughBlocks(values, test.type)
        for start in stride(from: 0, to: values.count, by: 256) {
            let range = start..<start + 256
            // At most half a step of the block's widest group each, a step being what its range comes to, and the
            // rounding of scales: 6 bits of the largest in a super-block.
            let peak = values[range].map(abs).max() ?? 0
            let step = 2 * peak / test.levels * (test.type.elementsPerBlock == 256 ? 1.1 : 1.01)
            let worst = 256 * Double(step / 2 * step / 2)
            #expect(squares(zip(values[range], back[range]).map { $0 - $1 }) <= worst)
        }
    }

    @Test(arguments: blocks + plain) func zerosStayZeros(_ test: Case) throws {
        #expect(try throughBlocks([Float](repeating: 0, count: 512), test.type).allSatisfy { $0 == 0 })
    }

    @Test(arguments: blocks) func tinyValuesAreNoWorseThanZeros(_ test: Case) throws {
        for value in [
            Float.leastNonzeroMagnitude, Float.leastNormalMagnitude / 100, 1e-30, 1e-12, 1e-8, 3e-8, 1e-7, 1e-6,
        ] {
            let values = (0..<512).map { $0 % 3 == 0 ? value : $0 % 3 == 1 ? -value : value / 7 }
            let back = try throughBlocks(values, test.type)
            #expect(squares(zip(values, back).map { $0 - $1 }) <= squares(values), "\(value)")
        }
    }

    @Test(arguments: blocks, [Float(1), -1, 0.37, -1234.5, 65504, -65504, 1e-3])
    func constantRowsKeepTheirValue(_ test: Case, _ value: Float) throws {
        let back = try throughBlocks([Float](repeating: value, count: 512), test.type)
        // A level at the end of the range holds it, or an offset, but for the rounding of 11 bits and of 8-bit scales.
        #expect(back.allSatisfy { abs($0 - value) <= abs(value) * 0.005 }, "\(back[0])")
    }

    @Test(arguments: blocks) func oneHugeValueIsKept(_ test: Case) throws {
        for huge in [Float(65504), -65504, 1000] {
            var values = normal(512, seed: 11)
            values[77] = huge
            let back = try throughBlocks(values, test.type)
            #expect(abs(back[77] - huge) <= abs(huge) * 0.01, "\(back[77])")
            #expect(back.allSatisfy { $0.isFinite })
            // Other groups do not suffer in formats whose groups stand alone.
            if test.type.elementsPerBlock == 32 {
                let plain = try throughBlocks(normal(512, seed: 11), test.type)
                #expect(back[96...] == plain[96...])
                #expect(back[..<64] == plain[..<64])
            }
        }
    }

    @Test(arguments: blocks + plain) func whatIsNoNumberIsRefused(_ test: Case) {
        for value in [Float.nan, .infinity, -.infinity, .signalingNaN] {
            for place in [0, 100, 511] {
                var values = normal(512, seed: 5)
                values[place] = value
                #expect(quantized(values, test.type) == nil, "\(value) at \(place)")
            }
        }
    }

    @Test(arguments: blocks + [plain[1]]) func whatIsTooLargeIsRefused(_ test: Case) {
        var values = normal(512, seed: 5)
        values[300] = 65536
        #expect(quantized(values, test.type) == nil)
        values[300] = -3e38
        #expect(quantized(values, test.type) == nil)
    }

    @Test func bfloat16RefusesWhatRoundsToInfinity() throws {
        #expect(quantized([.greatestFiniteMagnitude], .bfloat16) == nil)
        #expect(try throughBlocks([3e38], .bfloat16)[0].isFinite)
    }

    @Test(arguments: blocks) func rowsThatAreNoWholeBlocksAreRefused(_ test: Case) {
        let values = normal(512, seed: 5)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let block = test.type.elementsPerBlock
        for count in [1, block - 1, block + 1, 2 * block - 4] {
            #expect(!mk_quantize_row(Int32(test.type.rawValue), values, &bytes, count), "\(count)")
        }
        #expect(bytes.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [Int32(MK_Q2_K), Int32(MK_Q3_K), Int32(MK_IQ4_NL), Int32(MK_IQ4_XS), 9, -1, 1000])
    func otherTypesAreRefused(_ type: Int32) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        #expect(!mk_quantize_row(type, [Float](repeating: 1, count: 256), &bytes, 256))
    }

    /// What was in blocks once loses next to nothing when it is put there again.
    @Test(arguments: blocks.prefix(5)) func blocksOfBlocksAreTheSame(_ test: Case) throws {
        let once = try throughBlocks(normal(4096, seed: 2), test.type)
        let twice = try throughBlocks(once, test.type)
        #expect((squares(zip(once, twice).map { $0 - $1 }) / squares(once)).squareRoot() < 0.001)
    }
}
