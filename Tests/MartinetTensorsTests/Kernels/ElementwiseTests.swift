import CMartinetKernels
import Testing

@Suite struct ElementwiseTests {
    static let sizes = [1, 3, 4, 7, 8, 15, 16, 17, 31, 64, 100, 576]
    /// Values that break careless arithmetic.
    static let adversarial: [Float] = [
        0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, 1e-30, -1e-30, 1, -1, 10, -10,
        80, -80, 87.5, -87.5, 88.8, -88.8, 100, -100, 103.5, -103.5, 1000, -1000, 1e10, -1e10, 1e30, -1e30,
        .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .infinity, -.infinity, .nan,
    ]

    /// Largest relative difference element by element; results under the smallest normal float count as equal.
    private func worst(_ actual: [Float], _ expected: [Float]) -> Float {
        zip(actual, expected).map { a, e -> Float in
            if a == e || (a.isNaN && e.isNaN) || max(abs(a), abs(e)) < 2 * .leastNormalMagnitude { return 0 }
            let difference = abs(a - e) / abs(e)
            return difference.isNaN ? .infinity : difference
        }.max() ?? 0
    }

    @Test(arguments: KernelTable.all, sizes)
    func activationsMatchScalar(table: KernelTable, n: Int) throws {
        var random = FixedRandom(state: UInt64(n))
        let kernels = try table.kernels
        let scalar = try KernelTable.scalar.kernels
        let gate = random.floats(n, in: -12...12)
        let up = random.floats(n)
        var actual = [Float](repeating: 9, count: n + 1)
        var expected = actual
        kernels.silu_mul(gate, up, &actual, n)
        scalar.silu_mul(gate, up, &expected, n)
        #expect(worst(actual, expected) < 1e-6)
        kernels.gelu_mul(gate, up, &actual, n)
        scalar.gelu_mul(gate, up, &expected, n)
        #expect(worst(actual, expected) < 2e-6)
        #expect(actual[n] == 9, "wrote past the end")
    }

    @Test(arguments: KernelTable.all)
    func activationsSurviveAdversarialInput(table: KernelTable) throws {
        let kernels = try table.kernels
        let scalar = try KernelTable.scalar.kernels
        let gate = Self.adversarial
        let up = [Float](repeating: 0.75, count: gate.count)
        var actual = gate
        var expected = gate
        kernels.silu_mul(gate, up, &actual, gate.count)
        scalar.silu_mul(gate, up, &expected, gate.count)
        #expect(worst(actual, expected) < 1e-5, "\(actual) \(expected)")
        kernels.gelu_mul(gate, up, &actual, gate.count)
        scalar.gelu_mul(gate, up, &expected, gate.count)
        #expect(worst(actual, expected) < 1e-5, "\(actual) \(expected)")
    }

    @Test(arguments: KernelTable.all, sizes)
    func normMatchesScalar(table: KernelTable, n: Int) throws {
        var random = FixedRandom(state: UInt64(n))
        let weight = random.floats(n)
        for scale: Float in [1, 1e-12, 1e12] {
            let x = random.floats(n).map { $0 * scale }
            var actual = x
            var expected = x
            try KernelTable.scalar.kernels.rms_norm(x, weight, 1e-5, &expected, n)
            try table.kernels.rms_norm(actual, weight, 1e-5, &actual, n)
            #expect(worst(actual, expected) < 2e-6)
        }
    }

    @Test(arguments: KernelTable.all, [true, false])
    func ropeMatchesScalar(table: KernelTable, interleaved: Bool) throws {
        for (heads, size, rotary) in [(1, 4, 4), (3, 64, 64), (2, 80, 32), (5, 128, 128), (2, 72, 72), (1, 8, 0)] {
            var random = FixedRandom(state: UInt64(size))
            let (cos, sin) = (random.floats(rotary / 2 + 1), random.floats(rotary / 2 + 1))
            let x = random.floats(heads * size)
            var actual = x
            var expected = x
            try KernelTable.scalar.kernels.rope(&expected, heads, size, rotary, cos, sin, interleaved)
            try table.kernels.rope(&actual, heads, size, rotary, cos, sin, interleaved)
            #expect(relativeError(actual, expected) < 1e-6)
            for h in 0..<heads {
                let rest = h * size + rotary..<(h + 1) * size
                #expect(Array(actual[rest]) == Array(x[rest]))
            }
        }
    }

    @Test(arguments: KernelTable.all, sizes)
    func storesMatchScalar(table: KernelTable, n: Int) throws {
        var random = FixedRandom(state: UInt64(n))
        let x = (0..<n).map { _ in Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random)) }
        for type in [MK_F32, MK_F16, MK_BF16] {
            let width = type == MK_F32 ? 2 : 1
            var actual = [UInt16](repeating: 0xabcd, count: n * width + 1)
            var expected = actual
            try table.kernels.store_row(Int32(type), x, &actual, n)
            try KernelTable.scalar.kernels.store_row(Int32(type), x, &expected, n)
            for i in actual.indices where actual[i] != expected[i] {
                // NaNs may differ in payload.
                #expect(x[i / width].isNaN && type == MK_F16 && (actual[i] & 0x7fff) > 0x7c00)
            }
        }
    }

    @Test(arguments: KernelTable.all)
    func samplingMatchesScalar(table: KernelTable) throws {
        let kernels = try table.kernels
        let scalar = try KernelTable.scalar.kernels
        for n in Self.sizes + [49152] {
            var random = FixedRandom(state: UInt64(n))
            var x = random.floats(n, in: -20...20)
            #expect(kernels.argmax(x, n) == scalar.argmax(x, n))
            #expect(kernels.max(x, n) == scalar.max(x, n))
            var actual = x
            var expected = x
            let sum = kernels.exp_sum(x, 20, 0.7, &actual, n)
            let expectedSum = scalar.exp_sum(x, 20, 0.7, &expected, n)
            #expect(worst(actual, expected) < 1e-6)
            #expect(abs(sum - expectedSum) <= 1e-6 * expectedSum)
            // Equal maxima: the first; NaN never wins, wherever it lies.
            x[n / 2] = 30
            x[n - 1] = 30
            #expect(kernels.argmax(x, n) == n / 2)
            if n > 3 {
                x[0] = .nan
                x[n - 2] = .nan
                #expect(kernels.argmax(x, n) == (n / 2 == n - 2 ? n - 1 : n / 2))
                #expect(kernels.max(x, n) == 30)
            }
            let none = [Float](repeating: .nan, count: n)
            #expect(kernels.argmax(none, n) == 0)
            #expect(kernels.max(none, n) == -.infinity)
            let low = [Float](repeating: -.infinity, count: n)
            #expect(kernels.argmax(low, n) == 0)
            let tail = [Float](repeating: .nan, count: n - 1) + [-.infinity]
            #expect(kernels.argmax(tail, n) == n - 1)
        }
    }

    @Test(arguments: KernelTable.all)
    func exponentialsOfAdversarialInput(table: KernelTable) throws {
        let x = Self.adversarial
        var actual = x
        var expected = x
        _ = try table.kernels.exp_sum(x, 0, 1, &actual, x.count)
        _ = try KernelTable.scalar.kernels.exp_sum(x, 0, 1, &expected, x.count)
        #expect(worst(actual, expected) < 1e-6, "\(actual) \(expected)")
    }
}
