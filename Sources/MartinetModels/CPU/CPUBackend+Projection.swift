import CMartinetKernels
import MartinetTensors

// Matrix products. Activations are packed once for all matrices of one type, then the rows of those matrices are split
// over the team as if they were one matrix.
//
// With quantised weights the kernels multiply bytes. One byte for an activation is too coarse: over 1425 positions of
// text it changes SmolLM2's first choice at 3.5 % of them, and no single projection is to blame. So each input is packed
// as two rows, the values rounded to a byte and what the rounding left, which is some 15 bits together; the weights are
// unpacked once for both.

extension CPUBackend {
    package func project(_ input: CPUActivation, _ projections: [Projection<CPUBackend>]) {
        let tokens = rowCount(input)
        guard tokens > 0 else { return }
        var first = 0
        while first < projections.count {
            let type = projections[first].weight.type
            var end = first + 1
            while end < projections.count, projections[end].weight.type == type { end += 1 }
            project(input, projections[first..<end], type: Int32(type.rawValue), tokens: tokens)
            first = end
        }
    }

    private func project(
        _ input: CPUActivation, _ projections: ArraySlice<Projection<CPUBackend>>, type: Int32, tokens: Int
    ) {
        let rowBytes = packedRowBytes(type, input.width)
        let planes = planes(type, input.width)
        if !exact { pack(input, type: type, rowBytes: rowBytes, planes: planes) }
        let rows = projections.reduce(0) { $0 + $1.weight.rows }
        // Pieces small enough to even out the threads, large enough that handing them out costs nothing.
        let pieceCount = max(1, min(rows / Self.rowTile, pieceLimit))
        let piece = ((rows + pieceCount - 1) / pieceCount + 15) / 16 * 16
        forPieces((rows + piece - 1) / piece) { index in
            var start = 0
            for projection in projections {
                let stop = start + projection.weight.rows
                let begin = max(index * piece, start)
                let end = min((index + 1) * piece, stop)
                if begin < end {
                    let range = begin - start..<end - start
                    if self.exact {
                        self.multiplyExactly(projection, rows: range, input: input, tokens: tokens)
                    } else if planes == 1 {
                        self.multiply(projection, rows: range, rowBytes: rowBytes, tokens: tokens)
                    } else {
                        self.multiplyPlanes(
                            projection, rows: range, rowBytes: rowBytes, tokens: tokens, partial: self.partial(index))
                    }
                }
                start = stop
            }
        }
    }

    /// Packed rows for each row of an input: two where the packed form rounds to bytes.
    func planes(_ type: Int32, _ columns: Int) -> Int { packedRowBytes(type, columns) < 4 * columns ? 2 : 1 }

    private func pack(_ input: CPUActivation, type: Int32, rowBytes: Int, planes: Int) {
        let packed = packedBase
        let columns = input.width
        forRows(of: input, costFactor: 4) { index in
            let row = input.row(index)
            guard planes == 2 else {
                self.kernels.pack_activations?(type, row, packed + index * rowBytes, columns)
                return
            }
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * columns) { buffer in
                guard let coarse = buffer.baseAddress else { return }
                let fine = coarse + columns
                split(row, coarse: coarse, fine: fine, count: columns)
                self.kernels.pack_activations?(type, coarse, packed + 2 * index * rowBytes, columns)
                self.kernels.pack_activations?(type, fine, packed + (2 * index + 1) * rowBytes, columns)
            }
        }
    }

    private func multiplyExactly(
        _ projection: Projection<CPUBackend>, rows: Range<Int>, input: CPUActivation, tokens: Int
    ) {
        let (weight, output) = (projection.weight, projection.output)
        kernels.matmul_exact?(
            Int32(weight.type.rawValue), weight.bytes, weight.rowBytes, rows.lowerBound, rows.upperBound, input.width,
            input.base, input.width, tokens, projection.bias?.base, projection.accumulate, output.base, output.width)
    }

    private func multiply(_ projection: Projection<CPUBackend>, rows: Range<Int>, rowBytes: Int, tokens: Int) {
        let (weight, output) = (projection.weight, projection.output)
        kernels.matmul?(
            Int32(weight.type.rawValue), weight.bytes, weight.rowBytes, rows.lowerBound, rows.upperBound,
            weight.columns, packedBase, rowBytes, tokens, projection.bias?.base, projection.accumulate, output.base,
            output.width)
    }

    private func multiplyPlanes(
        _ projection: Projection<CPUBackend>, rows: Range<Int>, rowBytes: Int, tokens: Int,
        partial: UnsafeMutablePointer<Float>
    ) {
        let (weight, output) = (projection.weight, projection.output)
        let (rowTile, tokenTile) = (Self.rowTile, Self.tokenTile)
        for token in stride(from: 0, to: tokens, by: tokenTile) {
            let count = min(tokenTile, tokens - token)
            for row in stride(from: rows.lowerBound, to: rows.upperBound, by: rowTile) {
                let height = min(rowTile, rows.upperBound - row)
                kernels.matmul?(
                    Int32(weight.type.rawValue), weight.bytes + row * weight.rowBytes, weight.rowBytes, 0, height,
                    weight.columns, packedBase + 2 * token * rowBytes, rowBytes, 2 * count, nil, false, partial,
                    rowTile)
                for t in 0..<count {
                    let coarse = partial + 2 * t * rowTile
                    let fine = coarse + rowTile
                    let target = output.row(token + t) + row
                    for i in 0..<height {
                        let start = (projection.accumulate ? target[i] : 0) + (projection.bias?.base[row + i] ?? 0)
                        target[i] = start + (coarse[i] + fine[i])
                    }
                }
            }
        }
    }
}

/// Splits floats into a part that 127 steps of each 32 values' largest magnitude hold, and the rest; their sum is the
/// input, whatever the form that kernels pack into.
private func split(
    _ input: UnsafePointer<Float>, coarse: UnsafeMutablePointer<Float>, fine: UnsafeMutablePointer<Float>, count: Int
) {
    var index = 0
    while index < count {
        let end = min(count, index + 32)
        var largest: Float = 0
        for i in index..<end { largest = max(largest, abs(input[i])) }
        let step = largest / 127
        let inverse = step > 1e-30 ? 1 / step : 0
        for i in index..<end {
            let rounded = (input[i] * inverse).rounded(.toNearestOrEven) * step
            coarse[i] = rounded
            fine[i] = input[i] - rounded
        }
        index = end
    }
}
