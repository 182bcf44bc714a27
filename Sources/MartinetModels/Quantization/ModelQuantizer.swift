import CMartinetKernels
public import MartinetModelFormats
import MartinetTensors

/// Writes a model anew, with its weights in other types, as a GGUF file.
///
/// ```swift
/// let report = try ModelQuantizer.quantize(
///     ModelFile.open(path: "SmolLM2-135M-Instruct"), to: "smollm2-q4.gguf",
///     options: QuantizationOptions(type: .q4_K_M))
/// print(report.bitsPerWeight, report.rootMeanSquareError)
/// ```
public enum ModelQuantizer {
    /// Quantises a model. The file appears when it is whole; after an error there is none.
    ///
    /// - Parameters:
    ///   - file: a GGUF model of any architecture, or a Hugging Face directory of one that we run.
    ///   - path: the file to write.
    ///   - progress: called before each tensor with its number, from 1, and how many there are.
    /// - Throws: ``ModelFileError`` where a file cannot be read or written; ``ModelError`` that names the tensor or key
    ///   which cannot be quantised, such as one with an infinite weight.
    public static func quantize(
        _ file: ModelFile, to path: String, options: QuantizationOptions,
        progress: (_ tensor: Int, _ count: Int) -> Void = { _, _ in }
    ) throws -> QuantizationReport {
        if let threads = options.threads, !(1...1024).contains(threads) {
            throw ModelError(.invalidSetting, "\(threads) threads were asked for; 1 to 1024 are possible")
        }
        let source = try QuantizationSource(file)
        let rules = QuantizationRules(options, tensors: source.tensors.map(\.name))
        let targets = source.tensors.map { rules.type(of: $0.name, $0.view) }
        let writer = try GGUFFileWriter(
            path: path,
            metadata: source.metadata + [
                ("general.quantization_version", .uint32(2)), ("general.file_type", .uint32(options.type.fileType)),
            ],
            tensors: zip(source.tensors, targets).map {
                GGUFTensorDescription(name: $0.name, type: $1.type, shape: $0.view.shape)
            },
            replaces: options.replaces)
        let converter = TensorConverter(threads: options.threads ?? ThreadTeam.recommendedThreadCount)
        var report = QuantizationReport()
        for (index, (tensor, target)) in zip(source.tensors, targets).enumerated() {
            progress(index + 1, targets.count)
            let sums = try converter.convert(tensor, to: target.type, into: writer)
            report.add(tensor.view, target, sums)
        }
        report.types.sort { ($0.bytes, $0.type) > ($1.bytes, $1.type) }
        report.fileSize = try writer.finish()
        return report
    }
}

extension QuantizationReport {
    fileprivate mutating func add(
        _ view: TensorView, _ target: (type: ElementType, wanted: ElementType?), _ sums: TensorConverter.Sums
    ) {
        let name = target.type.name
        let elements = view.rows * view.columns
        let place = types.firstIndex { $0.type == name } ?? types.endIndex
        if place == types.endIndex { types.append(TypeUse(type: name)) }
        types[place].tensors += 1
        types[place].elements += elements
        types[place].bytes += elements / target.type.elementsPerBlock * target.type.bytesPerBlock
        types[place].squaredError += sums.error
        squaredSum += sums.squares
        isRequantized = isRequantized || (view.type.elementsPerBlock > 1 && view.type != target.type)
        guard let wanted = target.wanted?.name else { return }
        if let place = fallbacks.firstIndex(where: { $0.wanted == wanted && $0.taken == name }) {
            fallbacks[place].tensors += 1
        } else {
            fallbacks.append(Fallback(wanted: wanted, taken: name, tensors: 1))
        }
    }
}

/// Converts tensors some rows at a time, on several threads.
private struct TensorConverter {
    /// Over a tensor's elements.
    struct Sums {
        /// The squared differences from the source.
        var error = 0.0
        /// The squares of the source.
        var squares = 0.0
    }

    /// What one row came to.
    private struct Row: BitwiseCopyable {
        var error = 0.0
        var squares = 0.0
        var isWritten = false
    }

    /// Elements that are converted before they are written.
    private static let batch = 1 << 22

    private let team: ThreadTeam

    init(threads: Int) { team = ThreadTeam(threadCount: threads) }

    func convert(
        _ tensor: QuantizationSource.Tensor, to type: ElementType, into writer: GGUFFileWriter
    ) throws -> Sums {
        let view = tensor.view
        let columns = view.columns
        // A few parts for each thread even out unequal speeds.
        let parts = 4 * team.threadCount
        let most = min(view.rows, max(parts, Self.batch / columns))
        guard let rowBytes = type.byteCount(elements: columns) else {
            throw ModelError(.invalidModel, "tensor \(tensor.name.quotedForMessage) cannot be stored as \(type.name)")
        }
        let output = try AlignedBuffer<UInt8>(count: most * rowBytes)
        let rows = try AlignedBuffer<Row>(count: most)
        // The values of a row, and what comes back of them.
        let scratch = try AlignedBuffer<Float>(count: min(parts, most) * 2 * columns)
        var sums = Sums()
        for start in stride(from: 0, to: view.rows, by: most) {
            let count = min(most, view.rows - start)
            let tasks = min(parts, count)
            team.run(tasks: tasks) { task in
                let values = scratch.pointer + task * 2 * columns
                for index in count * task / tasks..<count * (task + 1) / tasks {
                    let source = view.row(tensor.order?.source(of: start + index) ?? start + index)
                    rows.pointer[index] = Self.convert(
                        source, view.type, output.pointer + index * rowBytes, type, values, columns)
                }
            }
            for index in 0..<count {
                guard rows.pointer[index].isWritten else {
                    let row = tensor.order?.source(of: start + index) ?? start + index
                    throw Self.refusal(tensor, row: row, type)
                }
                sums.error += rows.pointer[index].error
                sums.squares += rows.pointer[index].squares
            }
            try writer.write(UnsafeRawBufferPointer(start: output.pointer, count: count * rowBytes))
        }
        return sums
    }

    private static func convert(
        _ source: UnsafeRawPointer, _ sourceType: ElementType, _ output: UnsafeMutablePointer<UInt8>,
        _ type: ElementType, _ values: UnsafeMutablePointer<Float>, _ columns: Int
    ) -> Row {
        let back = values + columns
        var row = Row()
        guard mk_dequantize_row(Int32(type: sourceType), source, values, columns) else { return row }
        if type == sourceType {
            // The bytes stay what they are, as long as they are numbers.
            output.update(
                from: source.assumingMemoryBound(to: UInt8.self),
                count: columns / type.elementsPerBlock * type.bytesPerBlock)
        } else {
            guard mk_quantize_row(Int32(type: type), values, output, columns) else { return row }
        }
        guard mk_dequantize_row(Int32(type: type), output, back, columns) else { return row }
        for index in 0..<columns {
            let (value, rest) = (Double(values[index]), Double(values[index]) - Double(back[index]))
            row.squares += value * value
            row.error += rest * rest
        }
        row.isWritten = row.squares.isFinite
        return row
    }

    /// Why a row was not written.
    private static func refusal(_ tensor: QuantizationSource.Tensor, row: Int, _ type: ElementType) -> ModelError {
        let view = tensor.view
        var values = [Float](repeating: 0, count: view.columns)
        _ = mk_dequantize_row(Int32(type: view.type), view.row(row), &values, view.columns)
        let column = values.firstIndex { !$0.isFinite } ?? values.firstIndex { abs($0) > 65_504 } ?? 0
        return ModelError(
            .invalidModel,
            "tensor \(tensor.name.quotedForMessage) has the value \(values[column]) in row \(row), column \(column), "
                + "which \(type.name) cannot hold"
                + (values[column].isFinite ? ": it holds at most 65504" : "; the model is damaged: fetch it again"))
    }
}

extension Int32 {
    /// The kernels' number of a type.
    fileprivate init(type: ElementType) { self = Int32(type.rawValue) }
}
