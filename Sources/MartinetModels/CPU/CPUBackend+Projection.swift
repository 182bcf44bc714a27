import CMartinetKernels
import MartinetTensors

// Matrix products. Activations are packed once for all matrices of one type, then the rows of those matrices are split
// over the team as if they were one matrix.

extension CPUBackend {
    package func project(
        _ input: CPUActivation, _ preparation: Preparation<CPUBackend>, _ projections: [Projection<CPUBackend>]
    ) {
        let tokens = rowCount(input)
        guard tokens > 0 else { return }
        var preparation = preparation
        var first = 0
        while first < projections.count {
            let type = projections[first].weight.type
            var end = first + 1
            while end < projections.count, projections[end].weight.type == type { end += 1 }
            let rowBytes = packedRowBytes(type, input.width)
            forRows(of: input, costFactor: 8) { index in
                self.prepare(input, preparation, row: index)
                guard !self.exact else { return }
                self.kernels.pack_activations?(
                    type, input.row(index), self.packedBase + index * rowBytes, input.width)
            }
            preparation = .none
            multiply(input, projections[first..<end], rowBytes: rowBytes, tokens: tokens)
            first = end
        }
    }

    private func prepare(_ input: CPUActivation, _ preparation: Preparation<CPUBackend>, row index: Int) {
        let row = input.row(index)
        switch preparation {
        case .none: break
        case .normalized(let source, let weight, let epsilon):
            kernels.rms_norm?(source.row(index), weight.base, epsilon, row, input.width)
        case .gated(let up, .silu): kernels.silu_mul?(row, up.row(index), row, input.width)
        case .gated(let up, .gelu): kernels.gelu_mul?(row, up.row(index), row, input.width)
        }
    }

    private func multiply(
        _ input: CPUActivation, _ projections: ArraySlice<Projection<CPUBackend>>, rowBytes: Int, tokens: Int
    ) {
        let rows = projections.reduce(0) { $0 + $1.weight.rows }
        // Pieces small enough to even out the threads, large enough that handing them out costs nothing, and of whole
        // panels as kernels take them together.
        let smallest = tokens == 1 ? 64 : 32
        let pieceCount = max(1, min(rows / smallest, tokens == 1 ? 16 * pieceLimit : pieceLimit))
        let piece = ((rows + pieceCount - 1) / pieceCount + smallest - 1) / smallest * smallest
        forPieces((rows + piece - 1) / piece) { index in
            var start = 0
            for projection in projections {
                let stop = start + projection.weight.rows
                let begin = max(index * piece, start)
                let end = min((index + 1) * piece, stop)
                if begin < end {
                    self.multiply(
                        projection, rows: begin - start..<end - start, input: input, rowBytes: rowBytes, tokens: tokens)
                }
                start = stop
            }
        }
    }

    private func multiply(
        _ projection: Projection<CPUBackend>, rows: Range<Int>, input: CPUActivation, rowBytes: Int, tokens: Int
    ) {
        let (weight, output) = (projection.weight, projection.output)
        if exact {
            kernels.matmul_exact?(
                weight.type, weight.base, weight.stride, rows.lowerBound, rows.upperBound, weight.columns, input.base,
                input.width, tokens, projection.bias?.base, projection.accumulate, output.base, output.width)
        } else {
            kernels.matmul?(
                weight.type, weight.base, weight.stride, rows.lowerBound, rows.upperBound, weight.columns, packedBase,
                rowBytes, tokens, projection.bias?.base, projection.accumulate, output.base, output.width)
        }
    }
}
