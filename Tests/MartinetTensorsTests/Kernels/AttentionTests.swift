import CMartinetKernels
import Testing

@Suite struct AttentionTests {
    typealias Shape = AttentionShape

    static let shapes: [Shape] = [
        Shape(), Shape(type: MK_F32), Shape(type: MK_BF16), Shape(type: MK_I8),
        Shape(heads: 1, kvHeads: 1, size: 4, position: 0), Shape(heads: 8, kvHeads: 1, size: 256, position: 39),
        Shape(heads: 4, kvHeads: 2, size: 128, block: 5), Shape(heads: 6, kvHeads: 2, size: 72, block: 1),
        Shape(heads: 2, kvHeads: 2, size: 512, position: 19), Shape(heads: 14, kvHeads: 2, size: 20, block: 32),
        Shape(window: 54), Shape(window: 1), Shape(position: 47, window: 32), Shape(softcap: 30),
        Shape(type: MK_F32, magnitude: 60), Shape(position: 15), Shape(position: 16), Shape(position: 63),
        Shape(position: 64), Shape(position: 0, tokens: 70), Shape(position: 130, tokens: 37),
        Shape(type: MK_I8, heads: 4, kvHeads: 1, position: 3, tokens: 90, window: 33),
        Shape(type: MK_BF16, heads: 4, kvHeads: 1, size: 256, position: 30, tokens: 40, window: 20),
        Shape(type: MK_I8, heads: 6, kvHeads: 2, size: 72, block: 3, position: 10, tokens: 30, softcap: 20),
        Shape(type: MK_F32, heads: 100, kvHeads: 1, size: 36, position: 5, tokens: 3),
        Shape(heads: 2, kvHeads: 1, size: 512, position: 60, tokens: 30),
        Shape(heads: 3, kvHeads: 1, position: 1300), Shape(heads: 3, kvHeads: 1, position: 500, tokens: 40),
        Shape(heads: 3, kvHeads: 1, position: 1200, tokens: 20, window: 700),
        Shape(heads: 2, kvHeads: 1, size: 24, block: 7, position: 1010, tokens: 40, window: 500),
    ]

    @Test(arguments: KernelTable.all, shapes.indices)
    func matchesScalar(table: KernelTable, index: Int) throws {
        let sample = AttentionSample(Self.shapes[index])
        let expected = sample.attend(try KernelTable.scalar.kernels)
        #expect(expected.allSatisfy { $0.isFinite })
        let actual = sample.attend(try table.kernels)
        // A score keeps an absolute error of its last bits, which the exponential passes on; a capped one of the cap's.
        let large = sample.shape.softcap > 0 || sample.shape.magnitude > 10
        #expect(relativeError(actual, expected) < (large ? 2e-5 : 5e-6))
    }

    /// The same bits for a token in any run of tokens, and for a context in parts.
    @Test(arguments: KernelTable.all, shapes.indices)
    func tokensDoNotDependOnOneAnother(table: KernelTable, index: Int) throws {
        let sample = AttentionSample(Self.shapes[index])
        let (kernels, count) = (try table.kernels, sample.shape.tokens)
        let whole = bits(sample.attend(kernels))
        for width in [1, 2, 3, 16, 27] where width == 1 || width < count {
            for begin in stride(from: 0, to: count, by: width) {
                let range = begin..<min(count, begin + width)
                let part = sample.attend(kernels, tokens: range)
                let elements = range.lowerBound * sample.shape.stride..<range.upperBound * sample.shape.stride
                #expect(bits(Array(part[elements])) == Array(whole[elements]), "tokens \(range)")
                #expect(part.indices.allSatisfy { elements.contains($0) || part[$0].isNaN }, "wrote another token")
            }
        }
        #expect(bits(sample.attend(kernels, inParts: true)) == whole, "in parts")
    }

    /// Every table stores the same bytes, infinities and subnormal numbers included.
    @Test(arguments: KernelTable.all, [MK_F32, MK_F16, MK_BF16, MK_I8])
    func storesTheSameBytes(table: KernelTable, type: Int) throws {
        for (size, block) in [(64, 16), (20, 5), (36, 32)] {
            let shape = Shape(type: type, heads: 3, kvHeads: 3, size: size, block: block, position: 33)
            var sample = AttentionSample(shape, seed: 9)
            for (index, value) in [1e-40, 3e-38, 1e-31, 7e4, 1e30, .infinity, -.infinity, .nan].enumerated() {
                sample.keys[index][index] = Float(value)
                sample.values[2 * index][size + index] = Float(value)
            }
            sample.keys[20] = sample.keys[20].map { $0 * 1e-35 }
            sample.keys[21] = sample.keys[21].map { _ in 0 }
            let (actual, expected) = (sample.store(try table.kernels), sample.store(try KernelTable.scalar.kernels))
            #expect(actual.keys == expected.keys)
            #expect(actual.values == expected.values)
        }
    }

    /// Bytes lose little against floats.
    @Test(arguments: KernelTable.all)
    func bytesAreNearFloats(table: KernelTable) throws {
        var shape = Shape(type: MK_F32, position: 200, tokens: 9)
        let exact = AttentionSample(shape).attend(try table.kernels)
        shape.type = MK_I8
        let bytes = AttentionSample(shape).attend(try table.kernels)
        #expect(relativeError(bytes, exact) < 0.04)
    }

    /// One position alone is its value, whatever the score.
    @Test(arguments: KernelTable.all)
    func onePositionIsItsValue(table: KernelTable) throws {
        for (position, window) in [(0, 0), (77, 1), (512, 1)] {
            let sample = AttentionSample(
                Shape(type: MK_F32, heads: 1, kvHeads: 1, size: 8, block: 4, position: position, window: window))
            #expect(sample.attend(try table.kernels) == sample.values[position])
        }
    }

    /// Equal scores weigh alike: the mean of what each token sees.
    @Test(arguments: KernelTable.all, [Float(0), .leastNonzeroMagnitude, 1e4, -1e4])
    func equalScoresGiveTheMean(table: KernelTable, score: Float) throws {
        var sample = AttentionSample(Shape(type: MK_F32, heads: 2, kvHeads: 1, size: 4, position: 0, tokens: 100))
        for position in sample.keys.indices {
            sample.keys[position] = [1, 0, 0, 0]
            sample.values[position] = [Float(position), 1, 0, .leastNonzeroMagnitude]
        }
        for index in sample.query.indices { sample.query[index] = index % 4 == 0 ? score * 8 : 0 }
        let out = sample.attend(try table.kernels)
        for token in 0..<100 {
            #expect(abs(out[8 * token] - Float(token) / 2) <= 1e-4)
            #expect(abs(out[8 * token + 1] - 1) <= 1e-6)
            #expect(out[8 * token + 2] == 0)
        }
    }

    /// A score far above all others takes everything; one of minus infinity takes nothing, and nothing but such is 0.
    @Test(arguments: KernelTable.all)
    func extremeScores(table: KernelTable) throws {
        let kernels = try table.kernels
        var sample = AttentionSample(Shape(type: MK_F32, heads: 1, kvHeads: 1, size: 4, position: 99))
        for position in sample.keys.indices { sample.keys[position] = [position == 70 ? 1e30 : 1, 0, 0, 0] }
        sample.query = [1, 0, 0, 0]
        #expect(sample.attend(kernels) == sample.values[70])
        for position in sample.keys.indices { sample.keys[position][0] = position == 3 ? 1 : -.infinity }
        #expect(sample.attend(kernels) == sample.values[3])
        sample.keys[3][0] = -.infinity
        #expect(sample.attend(kernels) == [0, 0, 0, 0])
    }

    /// Scores of infinity or NaN end, and spoil only the heads that see them.
    @Test(arguments: KernelTable.all, [Float.infinity, -.infinity, .nan])
    func endsOnNonFiniteQueries(table: KernelTable, value: Float) throws {
        var sample = AttentionSample(Shape(tokens: 5))
        let clean = sample.attend(try table.kernels)
        sample.query[5] = value
        let spoilt = sample.attend(try table.kernels)
        #expect(bits(Array(spoilt[64...])) == bits(Array(clean[64...])))
        #expect(spoilt[..<64].contains { !$0.isFinite })
    }

    /// What a token holds cannot reach the tokens before it.
    @Test(arguments: KernelTable.all, [MK_F32, MK_F16, MK_I8])
    func laterTokensSpoilNone(table: KernelTable, type: Int) throws {
        var sample = AttentionSample(Shape(type: type, position: 40, tokens: 30))
        let clean = sample.attend(try table.kernels)
        sample.keys[55][3] = .nan
        sample.values[55][4] = .infinity
        sample.values[50][7] = .nan
        let spoilt = sample.attend(try table.kernels)
        let untouched = 10 * sample.shape.stride
        #expect(bits(Array(spoilt[..<untouched])) == bits(Array(clean[..<untouched])))
        #expect(spoilt[untouched...].contains { !$0.isFinite })
    }
}
