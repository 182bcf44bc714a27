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
    let tensor: TensorView?
}

/// The memory of panels, in chunks large enough for huge pages.
///
/// Weights are rearranged once, when a model is loaded. The file's own pages are given back tensor by tensor, so that
/// no more than the largest tensor is ever held twice.
final class PanelStore {
    private static let chunkBytes = 64 << 20
    private var chunks: [AlignedBuffer<UInt8>] = []
    private var free = 0

    /// Rearranges a tensor over the team, or keeps it as it is where the table has no panels for its type.
    func matrix(_ tensor: TensorView, kernels: mk_kernels, team: ThreadTeam) throws(ModelError) -> CPUMatrix {
        let type = Int32(tensor.type.rawValue)
        let stride = kernels.panel_bytes?(type, tensor.columns) ?? 0
        guard stride > 0 else {
            return CPUMatrix(
                type: type, rows: tensor.rows, columns: tensor.columns, base: tensor.bytes, stride: tensor.rowBytes,
                tensor: tensor)
        }
        let height = kernels.panel_rows
        let count = (tensor.rows + height - 1) / height
        let panels = try reserve(count * stride)
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
        return CPUMatrix(
            type: type, rows: tensor.rows, columns: tensor.columns, base: UnsafeRawPointer(panels), stride: stride,
            tensor: nil)
    }

    private func reserve(_ count: Int) throws(ModelError) -> UnsafeMutablePointer<UInt8> {
        if chunks.last.map({ free + count > $0.count }) ?? true {
            let chunk: AlignedBuffer<UInt8> = try .reserve(max(count, Self.chunkBytes))
            chunk.adviseHugePages()
            chunks.append(chunk)
            free = 0
        }
        defer { free += count }
        return chunks[chunks.count - 1].pointer + free
    }
}
