import CMartinetKernels
package import MartinetTensors

// Each operation splits its rows, matrix rows or heads over the team; small ones run on the calling thread, because
// waking the team costs more than they do.

extension CPUBackend {
    package func embed(_ table: TensorView, scale: Float, into output: CPUActivation) {
        let type = Int32(table.type.rawValue)
        forRows(of: output) { index in
            let row = output.row(index)
            // The type is known and the token checked, so this cannot fail.
            _ = mk_dequantize_row(type, table.row(self.token(index)), row, output.width)
            if scale != 1 {
                for i in 0..<output.width { row[i] *= scale }
            }
        }
    }

    package func normalize(
        _ input: CPUActivation, weight: CPUVector, epsilon: Float, groups: Int, into output: CPUActivation
    ) {
        let width = input.width / groups
        forRows(of: input) { index in
            for group in 0..<groups {
                self.kernels.rms_norm?(
                    input.row(index) + group * width, weight.base, epsilon, output.row(index) + group * width, width)
            }
        }
    }

    package func gate(_ gate: CPUActivation, _ up: CPUActivation, _ activation: GateActivation) {
        forRows(of: gate, costFactor: 4) { index in
            switch activation {
            case .silu: self.kernels.silu_mul?(gate.row(index), up.row(index), gate.row(index), gate.width)
            case .gelu: self.kernels.gelu_mul?(gate.row(index), up.row(index), gate.row(index), gate.width)
            }
        }
    }

    package func add(_ input: CPUActivation, into output: CPUActivation) {
        forRows(of: input) { index in
            let (from, to) = (input.row(index), output.row(index))
            for i in 0..<input.width { to[i] += from[i] }
        }
    }

    package func selectLogitRows(_ input: CPUActivation, into output: CPUActivation) {
        for (index, token) in logitTokens.enumerated() {
            output.row(index).update(from: input.row(token), count: input.width)
        }
    }

    package func project(_ input: CPUActivation, _ projections: [Projection<CPUBackend>]) {
        let tokens = rowCount(input)
        guard tokens > 0 else { return }
        var first = 0
        while first < projections.count {
            // Neighbours of one type share the packed input.
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
        let columns = input.width
        let rowBytes = packedRowBytes(type, columns)
        let packed = packedBase
        if !exact {
            forRows(of: input) { index in
                self.kernels.pack_activations?(type, input.row(index), packed + index * rowBytes, columns)
            }
        }
        let rows = projections.reduce(0) { $0 + $1.weight.rows }
        // Pieces small enough to even out the threads, large enough that handing them out costs nothing.
        let pieceCount = max(1, min(rows / 16, team.threadCount == 1 ? 1 : 4 * team.threadCount))
        let piece = ((rows + pieceCount - 1) / pieceCount + 15) / 16 * 16
        // Of a long input, as many tokens at a time as stay in a core's cache beside the weights.
        let tile = max(16, (192 << 10) / max(rowBytes, 1))
        forPieces((rows + piece - 1) / piece) { index in
            var begin = index * piece
            let end = min(rows, begin + piece)
            var start = 0
            for projection in projections {
                let weight = projection.weight
                let stop = start + weight.rows
                defer { start = stop }
                guard begin < end, begin < stop else { continue }
                let range = begin - start..<min(end, stop) - start
                begin = start + range.upperBound
                let output = projection.output
                var token = 0
                while token < tokens {
                    let count = min(tile, tokens - token)
                    if self.exact {
                        self.kernels.matmul_exact?(
                            type, weight.bytes, weight.rowBytes, range.lowerBound, range.upperBound, columns,
                            input.row(token), columns, count, projection.bias?.base, projection.accumulate,
                            output.row(token), output.width)
                    } else {
                        self.kernels.matmul?(
                            type, weight.bytes, weight.rowBytes, range.lowerBound, range.upperBound, columns,
                            packed + token * rowBytes, rowBytes, count, projection.bias?.base, projection.accumulate,
                            output.row(token), output.width)
                    }
                    token += count
                }
            }
        }
    }

    package func attend(_ step: AttentionStep<CPUBackend>) {
        let tokens = rowCount(step.queries)
        let cache = cache
        let headSize = step.queries.width / headCount
        let keyValueHeads = step.keys.width / headSize
        let type = Int32(cache.type.rawValue)
        forRows(of: step.queries, costFactor: 2) { index in
            let (cosines, sines) = self.angles(rope: step.rope, token: index)
            let key = step.keys.row(index)
            self.kernels.rope?(
                step.queries.row(index), self.headCount, headSize, self.rotarySize, cosines, sines, self.interleaved)
            self.kernels.rope?(key, keyValueHeads, headSize, self.rotarySize, cosines, sines, self.interleaved)
            let slot = self.slot(token: index)
            self.kernels.store_row?(type, key, cache.keys(layer: step.layer, slot: slot), step.keys.width)
            self.kernels.store_row?(
                type, step.values.row(index), cache.values(layer: step.layer, slot: slot), step.values.width)
        }
        let group = headCount / keyValueHeads
        let layer = cache.layer(step.layer)
        forPieces(tokens * keyValueHeads) { index in
            let token = index / keyValueHeads
            let head = index % keyValueHeads * group
            let length = self.position(token: token) + 1
            let first = step.window.map { max(0, length - $0) } ?? 0
            self.kernels.attention?(
                layer, self.blockTable(token: token), first, length, step.queries.row(token), self.headCount, head,
                head + group, step.scale, 0, step.output.row(token))
        }
    }
}
