import CMartinetKernels
import MartinetTensors

extension TensorView {
    /// The tensor plus a number, in memory of its own: for small vectors.
    ///
    /// - Throws: ``ModelError`` where it cannot be read or held.
    func adding(_ offset: Float) throws(ModelError) -> TensorView {
        let buffer = try AlignedBuffer<Float>.reserve(rows * columns)
        for row in 0..<rows {
            let floats = buffer.pointer + row * columns
            guard mk_dequantize_row(Int32(type.rawValue), self.row(row), floats, columns) else {
                throw ModelError(.invalidModel, "vectors of type \(type.name) cannot be read")
            }
            for index in 0..<columns { floats[index] += offset }
        }
        guard
            let sum = TensorView(
                type: .float32, shape: shape, bytes: UnsafeRawPointer(buffer.pointer), owner: buffer)
        else { throw ModelError(.invalidModel, "a vector of the shape \(shape) cannot be held") }
        return sum
    }
}
