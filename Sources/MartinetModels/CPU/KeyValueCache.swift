import CMartinetKernels
import MartinetTensors

/// The pool of KV blocks: for each layer all keys, then all values, in the tiles that ``mk_kv_layer`` describes.
///
/// The memory is reserved at once and taken from the system when blocks are first written.
struct KeyValueCache {
    let byteCount: Int
    private let pool: AlignedBuffer<UInt8>
    private let layerTable: AlignedBuffer<mk_kv_layer>

    init(configuration: ModelConfiguration, limits: RunnerLimits, type: KeyValueType) throws(ModelError) {
        byteCount = try configuration.keyValueBytes(type, limits: limits)
        pool = try AlignedBuffer.reserve(byteCount)
        layerTable = try AlignedBuffer.reserve(configuration.layerCount)
        let sideBytes = byteCount / (2 * configuration.layerCount)
        for layer in 0..<configuration.layerCount {
            let keys = UnsafeMutableRawPointer(pool.pointer) + 2 * layer * sideBytes
            layerTable.pointer[layer] = mk_kv_layer(
                keys: keys, values: keys + sideBytes, type: type.code, block_size: Int32(limits.blockSize),
                kv_heads: Int32(configuration.keyValueHeadCount), head_size: Int32(configuration.headSize))
        }
    }

    /// A layer's part, as kernels take it.
    func layer(_ index: Int) -> UnsafePointer<mk_kv_layer> { UnsafePointer(layerTable.pointer) + index }
}

extension ModelConfiguration {
    /// Bytes that one token takes in the KV cache, over all layers.
    func keyValueBytesPerToken(_ type: KeyValueType) throws(ModelError) -> Int {
        var bytes = 2 * type.byteCount(headSize: headSize)
        for factor in [layerCount, keyValueHeadCount] {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
            guard !overflow else { throw ModelError(.invalidModel, "the model's KV cache cannot be counted") }
            bytes = product
        }
        return bytes
    }

    /// Bytes of the whole pool: its slots, rounded up to whole tiles.
    func keyValueBytes(_ type: KeyValueType, limits: RunnerLimits) throws(ModelError) -> Int {
        let perToken = try keyValueBytesPerToken(type)
        let tile = Int(MK_KV_TILE)
        let (slots, slotOverflow) = limits.blockCount.multipliedReportingOverflow(by: limits.blockSize)
        let (rounded, roundOverflow) = slots.addingReportingOverflow(tile - 1)
        let (total, overflow) = (rounded / tile * tile).multipliedReportingOverflow(by: perToken)
        guard !slotOverflow, !roundOverflow, !overflow else {
            throw ModelError(.invalidSetting, "a KV pool of \(limits.blockCount) blocks cannot be addressed")
        }
        return total
    }
}
