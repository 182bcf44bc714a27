import MartinetTensors

/// One GGUF file, read and checked by itself; a split model has several.
///
/// The layout is that of the GGUF specification (ggml, `docs/gguf.md`), versions 2 and 3, which differ only in that
/// version 3 may be big-endian: magic, version, counts, metadata, tensor descriptions, padding, tensor data.
struct GGUFPart {
    let version: Int
    let keys: [String]
    let metadata: [String: GGUFValue]
    let tensors: [GGUFTensor]
    let file: MappedFile

    private struct Description {
        var name: String
        var type: ElementType
        var shape: [Int]
        var byteCount: Int
        var offset: UInt64
    }

    init(file: MappedFile) throws(ModelFileError) {
        self.file = file
        var cursor = GGUFCursor(file: file, offset: 0)
        version = try Self.version(&cursor)

        let countsPlace = cursor.offset
        let tensorCount: UInt64 = try cursor.integer()
        let keyCount: UInt64 = try cursor.integer()
        // Fewest bytes of a pair: length, one letter, type, one byte. Of a tensor: length, one letter, one dimension.
        let pairs = try cursor.check(keyCount, of: "metadata values", atLeast: 14, place: countsPlace + 8)
        let descriptions = try cursor.check(tensorCount, of: "tensors", atLeast: 33, place: countsPlace)

        (keys, metadata) = try Self.metadata(&cursor, count: pairs)
        let alignment = try Self.alignment(metadata, file: file)
        tensors = try Self.tensors(&cursor, count: descriptions, alignment: alignment)
    }

    private static func version(_ cursor: inout GGUFCursor) throws(ModelFileError) -> Int {
        let file = cursor.file
        guard file.bytes.prefix(4).elementsEqual("GGUF".utf8) else {
            throw ModelFileError(.notAModel, file: file.path, "is not a GGUF file: it does not begin with 'GGUF'")
        }
        _ = try cursor.integer(UInt32.self)
        let version: UInt32 = try cursor.integer()
        switch version {
        case 2, 3:
            return Int(version)
        case 1:
            throw ModelFileError(
                .unsupported, file: file.path, "is GGUF version 1, obsolete since 2023; convert the model again")
        default:
            // A big-endian file's version, read the wrong way round, has its low bytes empty.
            if version & 0xFFFF == 0, version != 0 {
                throw ModelFileError(
                    .unsupported, file: file.path, "is a big-endian GGUF file; take the little-endian one")
            }
            throw ModelFileError(
                .unsupported, file: file.path, "is GGUF version \(version); versions 2 and 3 are understood")
        }
    }

    private static func metadata(
        _ cursor: inout GGUFCursor, count: Int
    ) throws(ModelFileError) -> ([String], [String: GGUFValue]) {
        var keys: [String] = []
        var metadata: [String: GGUFValue] = [:]
        for index in 0..<count {
            let key = try cursor.name(of: "metadata value \(index)", limit: 65_535)
            let type = try cursor.valueType()
            let value = try cursor.value(type)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw cursor.invalid("the metadata key \(key.quotedForMessage) appears twice")
            }
            keys.append(key)
        }
        return (keys, metadata)
    }

    private static func alignment(
        _ metadata: [String: GGUFValue], file: MappedFile
    ) throws(ModelFileError) -> Int {
        guard let value = metadata["general.alignment"] else { return 32 }
        // The specification asks for a multiple of 8; every writer takes a power of two.
        guard let alignment = value.int, alignment >= 8, alignment <= 1 << 30, alignment & (alignment - 1) == 0 else {
            throw ModelFileError(
                .invalid, file: file.path,
                "general.alignment is \(value.double.map { "\($0)" } ?? "not a number"); a power of two from 8 is needed"
            )
        }
        return alignment
    }

    private static func tensors(
        _ cursor: inout GGUFCursor, count: Int, alignment: Int
    ) throws(ModelFileError) -> [GGUFTensor] {
        var descriptions: [Description] = []
        var names: Set<String> = []
        for index in 0..<count {
            let description = try self.description(&cursor, index: index)
            guard names.insert(description.name).inserted else {
                throw cursor.invalid("the tensor name \(description.name.quotedForMessage) appears twice")
            }
            descriptions.append(description)
        }
        guard count > 0 else { return [] }

        let file = cursor.file
        let padding = (alignment - cursor.offset % alignment) % alignment
        guard cursor.remaining >= padding, let base = file.bytes.baseAddress else {
            throw ModelFileError(
                .truncated, file: file.path, "ends at byte \(file.count), before its tensor data; fetch it again")
        }
        let start = cursor.offset + padding
        let available = file.count - start
        var tensors: [GGUFTensor] = []
        var ranges: [Range<Int>] = []
        for description in descriptions {
            let name = description.name.quotedForMessage
            guard let offset = Int(exactly: description.offset), offset % alignment == 0 else {
                throw cursor.invalid(
                    "the data of tensor \(name) is at offset \(description.offset), not a multiple of \(alignment)")
            }
            guard offset <= available, description.byteCount <= available - offset else {
                throw ModelFileError(
                    .truncated, file: file.path,
                    "tensor \(name) needs \(description.byteCount) bytes at offset \(offset), but the file has "
                        + "\(available) bytes of tensor data; fetch it again")
            }
            let view = TensorView(
                type: description.type, shape: description.shape, bytes: base + start + offset, owner: file)
            guard let view else { throw cursor.invalid("tensor \(name) has an impossible shape") }
            tensors.append(GGUFTensor(name: description.name, view: view, offset: offset))
            ranges.append(offset..<offset + description.byteCount)
        }
        let order = ranges.indices.sorted { ranges[$0].lowerBound < ranges[$1].lowerBound }
        for (earlier, later) in zip(order, order.dropFirst())
        where ranges[earlier].upperBound > ranges[later].lowerBound {
            throw cursor.invalid(
                "tensors \(tensors[earlier].name.quotedForMessage) and \(tensors[later].name.quotedForMessage) overlap "
                    + "at offset \(ranges[later].lowerBound)")
        }
        return tensors
    }

    private static func description(
        _ cursor: inout GGUFCursor, index: Int
    ) throws(ModelFileError) -> Description {
        // The specification's bound.
        let name = try cursor.name(of: "tensor \(index)", limit: 64)
        let quoted = name.quotedForMessage
        let dimensionCount: UInt32 = try cursor.integer()
        guard (1...4).contains(dimensionCount) else {
            throw cursor.invalid("tensor \(quoted) has \(dimensionCount) dimensions; 1 to 4 are allowed")
        }
        var shape: [Int] = []
        for _ in 0..<dimensionCount {
            let dimension: UInt64 = try cursor.integer()
            guard let dimension = Int(exactly: dimension), dimension > 0 else {
                throw cursor.invalid("tensor \(quoted) has a dimension of \(dimension)")
            }
            // The file names the innermost dimension first.
            shape.insert(dimension, at: 0)
        }
        let raw: UInt32 = try cursor.integer()
        guard let type = ElementType(rawValue: raw) else {
            throw ModelFileError(
                .unsupported, file: cursor.file.path, "tensor \(quoted) \(GGUFElementTypeName.problem(with: raw))")
        }
        let columns = shape[shape.count - 1]
        guard columns % type.elementsPerBlock == 0 else {
            throw cursor.invalid(
                "tensor \(quoted) has rows of \(columns) elements, not a multiple of \(type.name)'s block of "
                    + "\(type.elementsPerBlock)")
        }
        var byteCount = type.byteCount(elements: columns)
        for dimension in shape.dropLast() {
            byteCount = byteCount.flatMap {
                let (product, overflow) = $0.multipliedReportingOverflow(by: dimension)
                return overflow ? nil : product
            }
        }
        guard let byteCount else {
            throw cursor.invalid("the size of tensor \(quoted) overflows: its shape is \(shape)")
        }
        return Description(
            name: name, type: type, shape: shape, byteCount: byteCount, offset: try cursor.integer())
    }
}
