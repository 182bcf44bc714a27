import CMartinetKernels
import MartinetTensors

// Each operation splits its rows, matrix rows or heads over the team; small ones run on the calling thread, because
// waking the team costs more than they do.

extension CPUBackend {
    package func embed(_ table: CPUMatrix, scale: Float, into output: CPUActivation) {
        forRows(of: output) { index in
            let row = output.row(index)
            let token = self.token(index)
            if table.isPanels {
                let (panel, index) = token.quotientAndRemainder(dividingBy: self.kernels.panel_rows)
                self.kernels.panel_row?(table.type, table.base + panel * table.stride, index, row, output.width)
            } else {
                // The type is known and the token checked, so this cannot fail.
                _ = mk_dequantize_row(table.type, table.base + token * table.stride, row, output.width)
            }
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
        let headSize = step.queries.width / headCount
        let keyValueHeads = step.keys.width / headSize
        let layer = cache.layer(step.layer)
        forRows(of: step.queries, costFactor: 2) { index in
            let (cosines, sines) = self.angles(rope: step.rope, token: index)
            let key = step.keys.row(index)
            self.kernels.rope?(
                step.queries.row(index), self.headCount, headSize, self.rotarySize, cosines, sines, self.interleaved)
            self.kernels.rope?(key, keyValueHeads, headSize, self.rotarySize, cosines, sines, self.interleaved)
            self.kernels.store_kv?(layer, self.slot(token: index), key, step.values.row(index))
        }
        let plan = attentionPlan(window: step.window, keyValueHeads: keyValueHeads, headSize: headSize)
        let group = headCount / keyValueHeads
        func describe(_ piece: AttentionPlan.Piece) -> mk_attention {
            let offset = piece.keyValueHead * group * headSize
            return mk_attention(
                layer: layer, block_table: blockTable(token: piece.firstToken), position: piece.position,
                tokens: piece.tokenCount, window: step.window ?? 0, kv_head: piece.keyValueHead, group: group,
                query: step.queries.row(piece.firstToken) + offset, out: step.output.row(piece.firstToken) + offset,
                stride: step.queries.width, scale: step.scale, softcap: 0)
        }
        let states = attentionStateBase
        plan.pieces.withUnsafeBufferPointer { pieces in
            forPieces(pieces.count) { index in
                let piece = pieces[index]
                var attention = describe(piece)
                if let part = piece.part {
                    self.kernels.attention_part?(&attention, part, states + piece.stateOffset)
                } else {
                    self.kernels.attention?(&attention)
                }
            }
        }
        for merge in plan.merges {
            var attention = describe(merge.whole)
            kernels.attention_merge?(&attention, merge.partCount, states + merge.whole.stateOffset)
        }
    }
}
