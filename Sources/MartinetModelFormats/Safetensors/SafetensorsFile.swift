public import MartinetTensors

/// A tensor of a safetensors file, whether or not we can compute with its type.
public struct SafetensorsEntry: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// Its type as the file spells it: `F32`, `BF16`, `I64`.
    public let type: String
    /// Its dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Where its bytes lie in the file.
    public let range: Range<Int>
}

/// A safetensors file, mapped into memory.
///
/// The layout (huggingface/safetensors, `README.md`): the header's length in 8 bytes, a JSON header of at most 100 MB,
/// then the tensors' bytes with no gaps and no overlaps. All of that is checked when the file is opened. Types that we
/// cannot compute with are listed, and refused when they are asked for.
public final class SafetensorsFile: Sendable {
    /// The path it was opened by.
    public let path: String
    /// All tensors in the order of their bytes.
    public let entries: [SafetensorsEntry]
    /// The header's `__metadata__`.
    public let metadata: [String: String]
    private let file: MappedFile
    private let indices: [String: Int]

    /// The longest header that the format allows, in bytes.
    public static let maxHeaderSize = 100_000_000

    /// Opens a file and checks its header.
    ///
    /// - Throws: ``ModelFileError`` naming the file, what is wrong in it, and where.
    public init(path: String) throws(ModelFileError) {
        let file = try MappedFile(path: path)
        let (header, dataStart) = try Self.header(of: file)
        var metadata: [String: String] = [:]
        var entries: [SafetensorsEntry] = []
        for (name, value) in header {
            if name == "__metadata__" {
                guard let members = value.object else {
                    throw ModelFileError(.invalid, file: path, "the header's __metadata__ is not an object")
                }
                metadata = members.compactMapValues(\.string)
            } else {
                entries.append(try Self.entry(name, value, dataStart: dataStart, file: file))
            }
        }
        entries.sort {
            ($0.range.lowerBound, $0.range.upperBound, $0.name) < ($1.range.lowerBound, $1.range.upperBound, $1.name)
        }
        var end = dataStart
        for entry in entries {
            let name = entry.name.quotedForMessage
            guard entry.range.lowerBound >= end else {
                throw ModelFileError(
                    .invalid, file: path, "tensor \(name) at byte \(entry.range.lowerBound) overlaps the one before it")
            }
            guard entry.range.lowerBound == end else {
                throw ModelFileError(.invalid, file: path, "bytes from \(end) up to tensor \(name) belong to no tensor")
            }
            end = entry.range.upperBound
        }
        guard end == file.count else {
            throw ModelFileError(.invalid, file: path, "has \(file.count - end) bytes after its last tensor")
        }
        self.path = path
        self.file = file
        self.metadata = metadata
        self.entries = entries
        indices = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
    }

    /// The tensor of that name, or `nil` where there is none.
    ///
    /// - Throws: ``ModelFileError`` with `unsupported` where its type is not F32, F16 or BF16, where it is a scalar or
    ///   empty, or where its bytes are not aligned.
    public func tensor(_ name: String) throws(ModelFileError) -> TensorView? {
        guard let index = indices[name] else { return nil }
        let entry = entries[index]
        let type: ElementType
        switch entry.type {
        case "F32": type = .float32
        case "F16": type = .float16
        case "BF16": type = .bfloat16
        default:
            throw ModelFileError(
                .unsupported, file: path,
                "tensor \(name.quotedForMessage) has type \(entry.type.quotedForMessage); F32, F16 and BF16 can be used"
            )
        }
        guard entry.range.lowerBound % type.bytesPerBlock == 0 else {
            throw ModelFileError(
                .unsupported, file: path,
                "tensor \(name.quotedForMessage) is at byte \(entry.range.lowerBound), not a multiple of "
                    + "\(type.bytesPerBlock): an old writer made the file; load and save it with a current one")
        }
        guard let base = file.bytes.baseAddress,
            let view = TensorView(
                type: type, shape: entry.shape, bytes: base + entry.range.lowerBound, owner: file)
        else {
            throw ModelFileError(
                .unsupported, file: path,
                "tensor \(name.quotedForMessage) is empty or a scalar: its shape is \(entry.shape)")
        }
        return view
    }

    private static func header(
        of file: MappedFile
    ) throws(ModelFileError) -> (members: [String: JSONValue], dataStart: Int) {
        guard file.count >= 8 else {
            throw ModelFileError(.truncated, file: file.path, "has \(file.count) bytes, too few for a safetensors file")
        }
        let announced = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard announced <= UInt64(maxHeaderSize), let length = Int(exactly: announced) else {
            throw ModelFileError(
                .invalid, file: file.path,
                "announces a header of \(announced) bytes; safetensors allows \(maxHeaderSize)")
        }
        guard length <= file.count - 8 else {
            throw ModelFileError(
                .truncated, file: file.path,
                "announces a header of \(length) bytes, but has only \(file.count - 8) more; fetch it again")
        }
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[8..<8 + length])
        guard bytes.first == UInt8(ascii: "{") else {
            throw ModelFileError(.notAModel, file: file.path, "is not a safetensors file: its header is not JSON")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, uniqueKeys: true)
        } catch {
            throw ModelFileError(.invalid, file: file.path, "the header is not valid JSON: \(error)")
        }
        return (value.object ?? [:], 8 + length)
    }

    private static func entry(
        _ name: String, _ value: JSONValue, dataStart: Int, file: MappedFile
    ) throws(ModelFileError) -> SafetensorsEntry {
        let quoted = name.quotedForMessage
        let path = file.path
        guard let type = value["dtype"]?.string, let dimensions = value["shape"]?.array,
            let offsets = value["data_offsets"]?.array, offsets.count == 2
        else {
            throw ModelFileError(
                .invalid, file: path, "tensor \(quoted) lacks dtype, shape or data_offsets, or has them wrong")
        }
        var shape: [Int] = []
        for dimension in dimensions {
            guard case .int(let dimension) = dimension, dimension >= 0 else {
                throw ModelFileError(.invalid, file: path, "tensor \(quoted) has a dimension that is not a count")
            }
            shape.append(dimension)
        }
        guard case .int(let begin) = offsets[0], case .int(let end) = offsets[1], begin >= 0, end >= begin else {
            throw ModelFileError(.invalid, file: path, "the data_offsets of tensor \(quoted) are not a range")
        }
        guard end <= file.count - dataStart else {
            throw ModelFileError(
                .truncated, file: path,
                "tensor \(quoted) ends at \(end), but the file has \(file.count - dataStart) bytes of tensor data; "
                    + "fetch it again")
        }
        if let size = elementSizes[type] {
            var product: Int? = size
            for dimension in shape {
                product = product.flatMap {
                    let (product, overflow) = $0.multipliedReportingOverflow(by: dimension)
                    return overflow ? nil : product
                }
            }
            guard let product else {
                throw ModelFileError(
                    .invalid, file: path, "the size of tensor \(quoted) overflows: its shape is \(shape)")
            }
            guard product == end - begin else {
                throw ModelFileError(
                    .invalid, file: path,
                    "tensor \(quoted) has \(end - begin) bytes, but its shape \(shape) of \(type) needs \(product)")
            }
        }
        return SafetensorsEntry(name: name, type: type, shape: shape, range: dataStart + begin..<dataStart + end)
    }

    /// Bytes of an element, for the types whose elements are whole bytes.
    private static let elementSizes: [String: Int] = [
        "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "C64": 8, "I64": 8, "U64": 8,
        "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1,
    ]
}
