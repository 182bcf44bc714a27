import CMartinetKernels
import Testing

@Suite struct AttentionTests {
    struct Shape: Sendable {
        var type = MK_F16
        var heads = 9
        var kvHeads = 3
        var size = 64
        var block = 16
        var first = 0
        var length = 67
        var softcap: Float = 0
        var magnitude: Float = 2
    }

    static let shapes: [Shape] = [
        Shape(), Shape(type: MK_F32), Shape(type: MK_BF16), Shape(heads: 1, kvHeads: 1, size: 4, length: 1),
        Shape(heads: 8, kvHeads: 1, size: 256, length: 40), Shape(heads: 4, kvHeads: 2, size: 128, block: 5),
        Shape(heads: 6, kvHeads: 2, size: 72, block: 1), Shape(heads: 2, kvHeads: 2, size: 512, length: 20),
        Shape(heads: 14, kvHeads: 2, size: 20, block: 32), Shape(first: 13), Shape(first: 66),
        Shape(first: 16, length: 48),
        Shape(softcap: 30), Shape(type: MK_F32, magnitude: 60), Shape(length: 16), Shape(length: 17),
    ]

    struct Sample {
        let shape: Shape
        var keys: [UInt8] = []
        var values: [UInt8] = []
        var query: [Float]
        let table: [Int32]

        init(_ shape: Shape, seed: UInt64 = 5) throws {
            self.shape = shape
            var random = FixedRandom(state: seed)
            let blocks = (shape.length + shape.block - 1) / shape.block + 2
            table = (0..<blocks).map(Int32.init).shuffled(using: &random)
            let elements = blocks * shape.block * shape.kvHeads * shape.size
            let bytes = elements * (shape.type == MK_F32 ? 4 : 2)
            keys = [UInt8](repeating: 0, count: bytes)
            values = keys
            let scalar = try KernelTable.scalar.kernels
            scalar.store_row(Int32(shape.type), random.floats(elements), &keys, elements)
            scalar.store_row(Int32(shape.type), random.floats(elements), &values, elements)
            query = random.floats(shape.heads * shape.size, in: -shape.magnitude...shape.magnitude)
        }

        func attend(_ kernels: mk_kernels, heads: Range<Int>? = nil) -> [Float] {
            var out = [Float](repeating: .nan, count: query.count)
            let heads = heads ?? 0..<shape.heads
            keys.withUnsafeBytes { keys in
                values.withUnsafeBytes { values in
                    var layer = mk_kv_layer(
                        keys: keys.baseAddress, values: values.baseAddress, type: Int32(shape.type),
                        block_size: Int32(shape.block), kv_heads: Int32(shape.kvHeads), head_size: Int32(shape.size))
                    kernels.attention(
                        &layer, table, shape.first, shape.length, query, shape.heads, heads.lowerBound,
                        heads.upperBound, 0.125, shape.softcap, &out)
                }
            }
            return out
        }
    }

    @Test(arguments: KernelTable.all, shapes.indices)
    func matchesScalar(table: KernelTable, index: Int) throws {
        let sample = try Sample(Self.shapes[index])
        let expected = sample.attend(try KernelTable.scalar.kernels)
        #expect(expected.allSatisfy { $0.isFinite })
        let actual = sample.attend(try table.kernels)
        // A capped score keeps an absolute error of the cap's last bits, which the exponential passes on.
        #expect(relativeError(actual, expected) < (sample.shape.softcap > 0 ? 2e-5 : 5e-6))
    }

    @Test(arguments: KernelTable.all, shapes.indices)
    func doesNotDependOnHowHeadsAreSplit(table: KernelTable, index: Int) throws {
        let sample = try Sample(Self.shapes[index])
        let kernels = try table.kernels
        let whole = sample.attend(kernels)
        let (heads, size) = (sample.shape.heads, sample.shape.size)
        for width in [1, 2, 5] {
            for begin in stride(from: 0, to: heads, by: width) {
                let range = begin..<min(heads, begin + width)
                let part = sample.attend(kernels, heads: range)
                let elements = range.lowerBound * size..<range.upperBound * size
                #expect(bits(Array(part[elements])) == bits(Array(whole[elements])))
                #expect(part.indices.allSatisfy { elements.contains($0) || part[$0].isNaN }, "wrote another head")
            }
        }
    }

    /// One position alone is its value, whatever the score.
    @Test(arguments: KernelTable.all)
    func onePositionIsItsValue(table: KernelTable) throws {
        let sample = try Sample(Shape(type: MK_F32, heads: 1, kvHeads: 1, size: 8, block: 4, length: 1))
        let slot = Int(sample.table[0]) * 4 * 8
        let values = sample.values.withUnsafeBytes { Array($0.bindMemory(to: Float.self)[slot..<slot + 8]) }
        let out = sample.attend(try table.kernels)
        #expect(out == values)
    }

    @Test(arguments: KernelTable.all)
    func nothingAttendedIsZero(table: KernelTable) throws {
        var shape = Shape()
        shape.first = shape.length
        let out = try Sample(shape).attend(table.kernels)
        #expect(out.allSatisfy { $0 == 0 })
    }

    /// Scores of infinity or NaN end, and spoil only the heads that see them.
    @Test(arguments: KernelTable.all, [Float.infinity, -.infinity, .nan])
    func endsOnNonFiniteQueries(table: KernelTable, value: Float) throws {
        var sample = try Sample(Shape())
        let clean = sample.attend(try table.kernels)
        sample.query[5] = value
        let spoilt = sample.attend(try table.kernels)
        #expect(bits(Array(spoilt[64...])) == bits(Array(clean[64...])))
        #expect(spoilt[..<64].contains { !$0.isFinite })
    }
}
