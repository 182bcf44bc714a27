import CMartinetKernels

/// The shape of an attention call.
struct AttentionShape: Sendable {
    var type = MK_F16
    var heads = 9
    var kvHeads = 3
    var size = 64
    var block = 16
    /// Position of the first token, and how many tokens follow one another.
    var position = 66
    var tokens = 1
    var window = 0
    var softcap: Float = 0
    var magnitude: Float = 2

    var length: Int { position + tokens }
    var group: Int { heads / kvHeads }
    var stride: Int { heads * size }
}

/// A layer of the KV cache, written by a kernel table.
struct StoredLayer {
    var keys: [UInt8]
    var values: [UInt8]

    /// Stores rows `[position][kvHeads * size]` in the slots of a block table.
    init(_ shape: AttentionShape, table: [Int32], keys: [[Float]], values: [[Float]], kernels: mk_kernels) {
        let slots = ((table.max().map(Int.init) ?? 0) + 1) * shape.block
        let tiles = (slots + Int(MK_KV_TILE) - 1) / Int(MK_KV_TILE) * shape.kvHeads
        let bytes = tiles * mk_kv_tile_bytes(Int32(shape.type), shape.size)
        // What was never written must not count.
        self.keys = [UInt8](repeating: 0xff, count: bytes)
        self.values = self.keys
        withLayer(shape) { layer in
            for position in keys.indices {
                let slot = Int(table[position / shape.block]) * shape.block + position % shape.block
                kernels.store_kv(layer, slot, keys[position], values[position])
            }
        }
    }

    mutating func withLayer<Result>(_ shape: AttentionShape, _ body: (UnsafePointer<mk_kv_layer>) -> Result) -> Result {
        keys.withUnsafeMutableBytes { keys in
            values.withUnsafeMutableBytes { values in
                var layer = mk_kv_layer(
                    keys: keys.baseAddress, values: values.baseAddress, type: Int32(shape.type),
                    block_size: Int32(shape.block), kv_heads: Int32(shape.kvHeads), head_size: Int32(shape.size))
                return body(&layer)
            }
        }
    }
}

/// Random queries over random keys and values in a shuffled pool.
struct AttentionSample {
    let shape: AttentionShape
    let table: [Int32]
    var keys: [[Float]]
    var values: [[Float]]
    /// `[token][head][size]`.
    var query: [Float]

    init(_ shape: AttentionShape, seed: UInt64 = 5) {
        self.shape = shape
        var random = FixedRandom(state: seed)
        let blocks = (shape.length + shape.block - 1) / shape.block + 2
        table = (0..<blocks).map(Int32.init).shuffled(using: &random)
        keys = (0..<shape.length).map { _ in random.floats(shape.kvHeads * shape.size) }
        values = (0..<shape.length).map { _ in random.floats(shape.kvHeads * shape.size) }
        query = random.floats(shape.tokens * shape.stride, in: -shape.magnitude...shape.magnitude)
    }

    func store(_ kernels: mk_kernels) -> StoredLayer {
        StoredLayer(shape, table: table, keys: keys, values: values, kernels: kernels)
    }

    /// The output of some of the tokens, the others' staying NaN.
    ///
    /// - Parameter inParts: whether each part of the context is computed by itself and then merged.
    func attend(_ kernels: mk_kernels, tokens: Range<Int>? = nil, inParts: Bool = false) -> [Float] {
        let tokens = tokens ?? 0..<shape.tokens
        var out = [Float](repeating: .nan, count: query.count)
        var stored = store(kernels)
        stored.withLayer(shape) { layer in
            query.withUnsafeBufferPointer { query in
                out.withUnsafeMutableBufferPointer { out in
                    guard let query = query.baseAddress, let out = out.baseAddress else { return }
                    for head in 0..<shape.kvHeads {
                        let offset = tokens.lowerBound * shape.stride + head * shape.group * shape.size
                        var attention = mk_attention(
                            layer: layer, block_table: nil, position: shape.position + tokens.lowerBound,
                            tokens: tokens.count, window: shape.window, kv_head: head, group: shape.group,
                            query: query + offset, out: out + offset, stride: shape.stride, scale: 0.125,
                            softcap: shape.softcap)
                        // Its address holds within the closure only.
                        table.withUnsafeBufferPointer { table in
                            attention.block_table = table.baseAddress
                            inParts ? merged(&attention, kernels) : kernels.attention(&attention)
                        }
                    }
                }
            }
        }
        return out
    }

    private func merged(_ attention: inout mk_attention, _ kernels: mk_kernels) {
        let length = Int(MK_ATTENTION_PART)
        let first = shape.window > 0 ? max(0, attention.position + 1 - shape.window) : 0
        let parts = first / length...(attention.position + attention.tokens - 1) / length
        let floats = attention.tokens * shape.group * mk_attention_state_floats(shape.size)
        var states = [Float](repeating: .nan, count: parts.count * floats)
        // In any order.
        for part in parts.reversed() {
            states.withUnsafeMutableBufferPointer {
                guard let base = $0.baseAddress else { return }
                kernels.attention_part(&attention, part, base + (part - parts.lowerBound) * floats)
            }
        }
        kernels.attention_merge(&attention, parts.count, states)
    }
}
