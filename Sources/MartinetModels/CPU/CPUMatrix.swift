import CMartinetKernels
import MartinetTensors

/// A weight matrix as products read it: panels of the kernels' table, or the tensor's own rows.
package struct CPUMatrix {
    let type: Int32
    let rows: Int
    let columns: Int
    /// The first panel or row.
    let base: UnsafeRawPointer
    /// Bytes from one panel or row to the next.
    let stride: Int
    /// Keeps the tensor's memory, where `base` lies in it.
    private let tensor: TensorView?

    /// The rows of a tensor, as they are.
    init(rowsOf tensor: TensorView) {
        type = Int32(tensor.type.rawValue)
        rows = tensor.rows
        columns = tensor.columns
        base = tensor.bytes
        stride = tensor.rowBytes
        self.tensor = tensor
    }

    /// Panels of a tensor, in memory that outlives the matrix.
    init(panels base: UnsafeRawPointer, stride: Int, of tensor: TensorView) {
        type = Int32(tensor.type.rawValue)
        rows = tensor.rows
        columns = tensor.columns
        self.base = base
        self.stride = stride
        self.tensor = nil
    }

    /// Whether `base` is a panel.
    var isPanels: Bool { tensor == nil }
}

/// The memory of panels, reserved at once so that huge pages are whole but for the last.
///
/// Weights are rearranged once, when a model is loaded. The file's own pages are given back tensor by tensor, so that
/// no more than the largest tensor is ever held twice.
final class PanelStore {
    private let kernels: mk_kernels
    private var chunks: [AlignedBuffer<UInt8>] = []
    private var free = 0
    /// Bytes of the panels still to come.
    private var expected = 0

    /// A store for the panels of `expected`, and of others should they come.
    init(kernels: mk_kernels, expected: [TensorView]) {
        self.kernels = kernels
        self.expected = expected.reduce(0) { $0 + size(of: $1).bytes }
    }

    /// Panels of a tensor: bytes from one to the next, and of all; 0 where the table has none for its type.
    private func size(of tensor: TensorView) -> (stride: Int, count: Int, bytes: Int) {
        let stride = kernels.panel_bytes?(Int32(tensor.type.rawValue), tensor.columns) ?? 0
        let count = (tensor.rows + kernels.panel_rows - 1) / max(1, kernels.panel_rows)
        return (stride, count, stride * count)
    }

    /// Rearranges a tensor over the team, or keeps it as it is where the table has no panels for its type.
    func matrix(_ tensor: TensorView, team: ThreadTeam) throws(ModelError) -> CPUMatrix {
        let (stride, count, bytes) = size(of: tensor)
        guard stride > 0 else { return CPUMatrix(rowsOf: tensor) }
        let type = Int32(tensor.type.rawValue)
        let height = kernels.panel_rows
        let panels = try reserve(bytes)
        let piece = max(1, count / (8 * team.threadCount))
        team.run(tasks: (count + piece - 1) / piece) { index in
            for panel in index * piece..<min(count, (index + 1) * piece) {
                let row = panel * height
                kernels.make_panel?(
                    type, tensor.bytes + row * tensor.rowBytes, tensor.rowBytes, min(height, tensor.rows - row),
                    tensor.columns, panels + panel * stride)
            }
        }
        tensor.releasePages()
        return CPUMatrix(panels: panels, stride: stride, of: tensor)
    }

    private func reserve(_ count: Int) throws(ModelError) -> UnsafeMutablePointer<UInt8> {
        if chunks.last.map({ free + count > $0.count }) ?? true {
            let chunk: AlignedBuffer<UInt8> = try .reserve(max(count, expected))
            chunk.adviseHugePages()
            chunks.append(chunk)
            free = 0
        }
        defer {
            free += count
            expected = max(0, expected - count)
        }
        return chunks[chunks.count - 1].pointer + free
    }
}
