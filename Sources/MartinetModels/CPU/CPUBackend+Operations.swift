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
