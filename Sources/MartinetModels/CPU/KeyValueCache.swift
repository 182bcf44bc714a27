import CMartinetKernels
import MartinetTensors

/// The pool of KV blocks: for each layer all keys, `[slot][kv head][head size]`, then all values alike.
///
/// The memory is reserved at once and taken from the system when blocks are first written.
struct KeyValueCache {
    let type: ElementType
    let rowBytes: Int
    let byteCount: Int
    private let pool: AlignedBuffer<UInt8>
    private let layerTable: AlignedBuffer<mk_kv_layer>
    private let sideBytes: Int

    init(configuration: ModelConfiguration, limits: RunnerLimits, type: ElementType) throws(ModelError) {
        guard [.float16, .bfloat16, .float32].contains(type) else {
            throw ModelError(.invalidSetting, "the KV cache cannot be \(type.name); use F16, BF16 or F32")
        }
        self.type = type
        let perToken = try configuration.keyValueBytesPerToken(type)
        rowBytes = configuration.keyValueHeadCount * configuration.headSize * type.bytesPerBlock
        let (slots, slotOverflow) = limits.blockCount.multipliedReportingOverflow(by: limits.blockSize)
        let (total, overflow) = slots.multipliedReportingOverflow(by: perToken)
        guard !slotOverflow, !overflow else {
            throw ModelError(.invalidSetting, "a KV pool of \(limits.blockCount) blocks cannot be addressed")
        }
        sideBytes = slots * rowBytes
        byteCount = total
        pool = try AlignedBuffer.reserve(total)
        layerTable = try AlignedBuffer.reserve(configuration.layerCount)
        for layer in 0..<configuration.layerCount {
            let keys = UnsafeMutableRawPointer(pool.pointer) + 2 * layer * sideBytes
            layerTable.pointer[layer] = mk_kv_layer(
                keys: UnsafeRawPointer(keys), values: UnsafeRawPointer(keys + sideBytes), type: Int32(type.rawValue),
                block_size: Int32(limits.blockSize), kv_heads: Int32(configuration.keyValueHeadCount),
                head_size: Int32(configuration.headSize))
        }
    }

    /// A layer's part, as kernels take it.
    func layer(_ index: Int) -> UnsafePointer<mk_kv_layer> { UnsafePointer(layerTable.pointer) + index }

    /// Where a slot's keys go.
    func keys(layer: Int, slot: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(pool.pointer) + 2 * layer * sideBytes + slot * rowBytes
    }

    /// Where a slot's values go.
    func values(layer: Int, slot: Int) -> UnsafeMutableRawPointer { keys(layer: layer, slot: slot) + sideBytes }
}

extension ModelConfiguration {
    /// Bytes that one token takes in the KV cache, over all layers.
    func keyValueBytesPerToken(_ type: ElementType) throws(ModelError) -> Int {
        var bytes = 2 * type.bytesPerBlock
        for factor in [layerCount, keyValueHeadCount, headSize] {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
            guard !overflow else { throw ModelError(.invalidModel, "the model's KV cache cannot be counted") }
            bytes = product
        }
        return bytes
    }
}
