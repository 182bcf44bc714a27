import CMartinetKernels

/// How keys and values are stored in the KV cache.
public enum KeyValueType: String, Sendable, Hashable, CaseIterable {
    case float16
    case bfloat16
    /// Twice the memory of `float16`; what exact precision takes.
    case float32
    /// Half the memory of `float16`: signed bytes with a float32 scale for each token and head.
    case int8

    /// The kernels' number of the type.
    package var code: Int32 {
        switch self {
        case .float16: Int32(MK_F16)
        case .bfloat16: Int32(MK_BF16)
        case .float32: Int32(MK_F32)
        case .int8: Int32(MK_I8)
        }
    }

    /// Bytes that one head takes of one token's keys, or of its values.
    package func byteCount(headSize: Int) -> Int {
        switch self {
        case .float16, .bfloat16: 2 * headSize
        case .float32: 4 * headSize
        case .int8: headSize + 4
        }
    }
}
