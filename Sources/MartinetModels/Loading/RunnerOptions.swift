/// How a runner computes.
public struct RunnerOptions: Sendable, Hashable {
    /// The arithmetic of matrix products.
    public enum Precision: Sendable, Hashable {
        /// Activations are rounded to 16 bits where the weights are quantised; the KV cache is as set.
        case fast
        /// Weights are dequantised and all arithmetic and the KV cache are in float32. Slow; what references compare with.
        case exact
    }
    /// The arithmetic of matrix products.
    public var precision: Precision
    /// How keys and values are stored. Exact precision takes `float32` whatever this is.
    public var keyValueType: KeyValueType
    /// Compute threads, the caller's among them; `nil` takes one for each processor that the process may use.
    public var threads: Int?
    /// An instruction set of the kernels (`MK_ISA_…`); `nil` takes the machine's best.
    public var instructionSet: Int32?

    /// Describes how to compute.
    public init(
        precision: Precision = .fast, keyValueType: KeyValueType = .float16, threads: Int? = nil,
        instructionSet: Int32? = nil
    ) {
        self.precision = precision
        self.keyValueType = keyValueType
        self.threads = threads
        self.instructionSet = instructionSet
    }

    /// How keys and values really are stored.
    package var storedKeyValueType: KeyValueType { precision == .exact ? .float32 : keyValueType }
}
