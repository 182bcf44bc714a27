import MartinetTensors

/// Rows of floats in a runner's scratch memory.
package struct CPUActivation {
    let rows: ActivationRows
    let width: Int
    let base: UnsafeMutablePointer<Float>

    func row(_ index: Int) -> UnsafeMutablePointer<Float> { base + index * width }
}

/// A bias or a normalisation's weights, as floats.
package struct CPUVector {
    let base: UnsafeMutablePointer<Float>
}

extension AlignedBuffer {
    /// Reserves memory, which the system gives page by page as it is written.
    static func reserve(_ count: Int) throws(ModelError) -> AlignedBuffer {
        do {
            return try AlignedBuffer(count: count)
        } catch {
            throw ModelError(.invalidSetting, error.description)
        }
    }
}
