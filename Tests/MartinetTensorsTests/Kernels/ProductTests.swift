import CMartinetKernels
import MartinetTensors
import Testing

@Suite struct ProductTests {
    static let types = ElementType.allCases

    /// Rows that are no multiple of any tile, and columns that are no multiple of a chunk.
    private func sample(_ type: ElementType, rows: Int = 37, tokens: Int = 5) throws -> (TestWeights, [Float]) {
        var random = FixedRandom(state: UInt64(type.rawValue) + 1)
        let columns = type.elementsPerBlock == 1 ? 601 : 768
        let weights = try TestWeights(type, rows: rows, columns: columns, random: &random)
        return (weights, random.floats(tokens * columns, in: -3...3))
    }

    @Test(arguments: KernelTable.all, types)
    func packsLikeScalar(table: KernelTable, type: ElementType) throws {
        var random = FixedRandom(state: 3)
        let weights = try TestWeights(type, rows: 1, columns: 256, random: &random)
        var x = random.floats(16 * 256, in: -5...5)
        // One row each of zeros, subnormals, huge values, a NaN, an infinity, halves that round both ways.
        for i in 0..<256 {
            x[i] = 0
            x[256 + i] = Float(bitPattern: UInt32(i))
            x[512 + i] *= 6e37
            x[1280 + i] = Float(i % 128) + 0.5
        }
        x[3 * 256 + 40] = .nan
        x[4 * 256 + 80] = -.infinity
        let expected = try KernelTable.scalar.kernels.packed(weights, x)
        let actual = try table.kernels.packed(weights, x)
        #expect(actual.stride == expected.stride)
        #expect(equalPacked(actual.bytes, expected.bytes, weights, tokens: 16))
    }

    /// Bytes are the same, but for which NaN stands in a scale.
    private func equalPacked(_ a: [UInt8], _ b: [UInt8], _ weights: TestWeights, tokens: Int) -> Bool {
        guard a.count == b.count else { return false }
        for i in stride(from: 0, to: a.count, by: 4) where a[i..<i + 4] != b[i..<i + 4] {
            let values = [a, b].map { bytes in
                Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << (8 * $1) })
            }
            guard values.allSatisfy(\.isNaN) else { return false }
        }
        return true
    }

    @Test(arguments: KernelTable.all, types)
    func matchesScalar(table: KernelTable, type: ElementType) throws {
        let (weights, x) = try sample(type)
        let packed = try KernelTable.scalar.kernels.packed(weights, x)
        let expected = try KernelTable.scalar.kernels.product(weights, packed)
        #expect(relativeError(try table.kernels.product(weights, packed), expected) < 2e-6)
    }

    /// A row read back from a panel is the row, bit for bit.
    @Test(arguments: KernelTable.all, types)
    func panelsKeepRows(table: KernelTable, type: ElementType) throws {
        let (weights, _) = try sample(type)
        let kernels = try table.kernels
        let (panels, stride) = kernels.panels(of: weights)
        let height = kernels.panel_rows
        for row in 0..<weights.rows {
            var expected = [Float](repeating: .nan, count: weights.columns)
            var actual = expected
            let bytes = Array(weights.bytes[row * weights.rowBytes..<(row + 1) * weights.rowBytes])
            let panel = Array(panels[row / height * stride..<(row / height + 1) * stride])
            try #require(mk_dequantize_row(weights.code, bytes, &expected, weights.columns))
            kernels.panel_row(weights.code, panel, row % height, &actual, weights.columns)
            #expect(actual.map(\.bitPattern) == expected.map(\.bitPattern), "row \(row)")
        }
    }

    @Test(arguments: KernelTable.all, types)
    func exactMatchesScalar(table: KernelTable, type: ElementType) throws {
        let (weights, x) = try sample(type, tokens: 19)
        let expected = try KernelTable.scalar.kernels.exactProduct(weights, x)
        #expect(relativeError(try table.kernels.exactProduct(weights, x), expected) < 2e-6)
    }

    /// Packed activations cost less than 2·10⁻⁵ of noise against float32 ones.
    @Test(arguments: KernelTable.all, types)
    func packedIsCloseToExact(table: KernelTable, type: ElementType) throws {
        let (weights, x) = try sample(type)
        let kernels = try table.kernels
        let exact = kernels.exactProduct(weights, x)
        let fast = kernels.product(weights, kernels.packed(weights, x))
        let noise = zip(fast, exact).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
        let power = exact.reduce(0.0) { $0 + Double($1 * $1) }
        #expect((noise / power).squareRoot() < 2e-5)
    }

    /// The same bits for a token and a row whatever else is computed beside them.
    @Test(arguments: KernelTable.all, types)
    func doesNotDependOnTheBatch(table: KernelTable, type: ElementType) throws {
        let kernels = try table.kernels
        let (weights, x) = try sample(type, tokens: 33)
        let packed = kernels.packed(weights, x)
        let whole = kernels.product(weights, packed)
        let wholeExact = kernels.exactProduct(weights, x)
        let rows = weights.rows
        for count in [1, 2, 3, 4, 7, 16] {
            for first in stride(from: 0, to: 33 - count + 1, by: max(count, 5)) {
                let tokens = first..<first + count
                let expected = bits(Array(whole[first * rows..<(first + count) * rows]))
                #expect(bits(kernels.product(weights, packed, tokens: tokens)) == expected)
                let expectedExact = bits(Array(wholeExact[first * rows..<(first + count) * rows]))
                #expect(bits(kernels.exactProduct(weights, x, tokens: tokens)) == expectedExact)
            }
        }
        for range in [0..<1, 0..<16, 3..<5, 5..<37, 16..<37, 20..<36, 36..<37] {
            let part = kernels.product(weights, packed, rows: range)
            let partExact = kernels.exactProduct(weights, x, rows: range)
            for t in 0..<33 {
                for r in 0..<rows {
                    let i = t * rows + r
                    if range.contains(r) {
                        #expect(part[i].bitPattern == whole[i].bitPattern)
                        #expect(partExact[i].bitPattern == wholeExact[i].bitPattern)
                    } else {
                        #expect(part[i].isNaN && partExact[i].isNaN, "wrote outside its rows")
                    }
                }
            }
        }
    }

    @Test(arguments: KernelTable.all, types)
    func longBatchesMatchShortOnes(table: KernelTable, type: ElementType) throws {
        let kernels = try table.kernels
        let (weights, x) = try sample(type, rows: 9, tokens: 131)
        let packed = kernels.packed(weights, x)
        let whole = kernels.product(weights, packed)
        for t in [0, 127, 128, 130] {
            let one = kernels.product(weights, packed, tokens: t..<t + 1)
            #expect(bits(one) == bits(Array(whole[t * 9..<t * 9 + 9])))
        }
    }

    @Test(arguments: KernelTable.all, types)
    func addsBiasAndWhatIsThere(table: KernelTable, type: ElementType) throws {
        let kernels = try table.kernels
        let (weights, x) = try sample(type)
        let packed = kernels.packed(weights, x)
        let plain = kernels.product(weights, packed)
        let bias = (0..<37).map { Float($0) - 18 }
        let before = (0..<37 * 5).map { Float($0) / 8 }
        let biased = kernels.product(weights, packed, bias: bias)
        #expect(bits(biased) == bits(plain.indices.map { bias[$0 % 37] + plain[$0] }))
        let added = kernels.product(weights, packed, adding: before)
        #expect(bits(added) == bits(plain.indices.map { before[$0] + plain[$0] }))
        let both = kernels.product(weights, packed, bias: bias, adding: before)
        #expect(bits(both) == bits(plain.indices.map { (before[$0] + bias[$0 % 37]) + plain[$0] }))
    }

    /// Scales that are zero, subnormal, the largest half, infinite or NaN.
    @Test(arguments: KernelTable.all, types)
    func survivesExtremeScales(table: KernelTable, type: ElementType) throws {
        var random = FixedRandom(state: 11)
        let extremes: [[Float]] = [
            [0, 6e-8, -6e-8, 1e-6], [65504, -65504], [.infinity, 1], [.nan, 0.5], [0, -0.0],
        ]
        for values in extremes {
            let weights = try TestWeights(type, rows: 19, columns: 512, random: &random) {
                values[Int.random(in: 0..<values.count, using: &$0)]
            }
            let x = random.floats(3 * 512, in: -2...2)
            let packed = try KernelTable.scalar.kernels.packed(weights, x)
            let expected = try KernelTable.scalar.kernels.product(weights, packed)
            #expect(relativeError(try table.kernels.product(weights, packed), expected) < 1e-5, "\(values)")
        }
    }

    /// A token that is not finite spoils its own outputs only.
    @Test(arguments: KernelTable.all, types)
    func keepsNaNToItsToken(table: KernelTable, type: ElementType) throws {
        let kernels = try table.kernels
        var (weights, x) = try sample(type, tokens: 4)
        let clean = kernels.product(weights, kernels.packed(weights, x))
        x[weights.columns + 7] = .nan
        x[2 * weights.columns + 9] = .infinity
        let spoilt = kernels.product(weights, kernels.packed(weights, x))
        #expect(bits(Array(spoilt[0..<37])) == bits(Array(clean[0..<37])))
        #expect(bits(Array(spoilt[111...])) == bits(Array(clean[111...])))
        #expect(spoilt[37..<111].allSatisfy { !$0.isFinite })
    }
}
