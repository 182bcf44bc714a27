/// Reads the primitive pieces of a GGUF file one after the other, never past its end.
struct GGUFCursor {
    /// Deepest nesting of arrays in arrays; files in use have none at all.
    static let maxDepth = 4

    let file: MappedFile
    /// The next byte to read.
    private(set) var offset: Int

    init(file: MappedFile, offset: Int) {
        self.file = file
        self.offset = offset
    }

    /// Bytes from here to the end of the file.
    var remaining: Int { file.count - offset }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(ModelFileError) -> Value {
        guard remaining >= MemoryLayout<Value>.size else {
            throw truncated("needs \(MemoryLayout<Value>.size) bytes")
        }
        let value = file.bytes.loadUnaligned(fromByteOffset: offset, as: Value.self)
        offset += MemoryLayout<Value>.size
        return Value(littleEndian: value)
    }

    /// A count or length that may not exceed what the rest of the file can hold.
    ///
    /// - Parameter size: the fewest bytes that one of the counted things takes.
    mutating func count(of what: String, atLeast size: Int) throws(ModelFileError) -> Int {
        let place = offset
        let announced: UInt64 = try integer()
        return try check(announced, of: what, atLeast: size, place: place)
    }

    func check(_ announced: UInt64, of what: String, atLeast size: Int, place: Int) throws(ModelFileError) -> Int {
        guard let count = Int(exactly: announced), count <= remaining / size else {
            throw ModelFileError(
                .truncated, file: file.path,
                "announces \(announced) \(what) at byte \(place), more than its remaining \(remaining) bytes can hold")
        }
        return count
    }

    mutating func stringBytes() throws(ModelFileError) -> UnsafeRawBufferPointer {
        let length = try count(of: "bytes of text", atLeast: 1)
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + length])
        offset += length
        return bytes
    }

    /// A name: not empty, at most `limit` bytes, valid UTF-8.
    mutating func name(of what: String, limit: Int) throws(ModelFileError) -> String {
        let place = offset
        let bytes = try stringBytes()
        guard !bytes.isEmpty, bytes.count <= limit else {
            throw invalid("the name of \(what) at byte \(place) has \(bytes.count) bytes; 1 to \(limit) are allowed")
        }
        guard let name = String(validating: bytes, as: UTF8.self) else {
            throw invalid("the name of \(what) at byte \(place) is not valid UTF-8")
        }
        return name
    }

    mutating func valueType() throws(ModelFileError) -> GGUFValueType {
        let place = offset
        let raw: UInt32 = try integer()
        guard let type = GGUFValueType(rawValue: raw) else {
            throw invalid("unknown metadata value type \(raw) at byte \(place)")
        }
        return type
    }

    /// A value, whose type was read before it.
    mutating func value(_ type: GGUFValueType) throws(ModelFileError) -> GGUFValue {
        switch type {
        case .uint8: return .uint8(try integer())
        case .int8: return .int8(try integer())
        case .uint16: return .uint16(try integer())
        case .int16: return .int16(try integer())
        case .uint32: return .uint32(try integer())
        case .int32: return .int32(try integer())
        case .uint64: return .uint64(try integer())
        case .int64: return .int64(try integer())
        case .float32: return .float32(Float(bitPattern: try integer()))
        case .float64: return .float64(Double(bitPattern: try integer()))
        case .bool: return .bool(try truth())
        case .string: return .string(String(decoding: try stringBytes(), as: UTF8.self))
        case .array: return .array(try array(depth: 0))
        }
    }

    /// Walks over an array and checks every length in it; nothing is allocated for its elements.
    mutating func array(depth: Int) throws(ModelFileError) -> GGUFArray {
        guard depth < Self.maxDepth else {
            throw invalid("arrays nested deeper than \(Self.maxDepth) at byte \(offset)")
        }
        let type = try valueType()
        // An inner array takes at least its type and its count.
        let smallest = type.fixedSize ?? (type == .string ? 8 : 12)
        let count = try count(of: "array elements", atLeast: smallest)
        let start = offset
        switch type {
        case .string:
            for _ in 0..<count { _ = try stringBytes() }
        case .array:
            for _ in 0..<count { _ = try array(depth: depth + 1) }
        case .bool:
            for _ in 0..<count { _ = try truth() }
        default:
            offset += count * smallest
        }
        return GGUFArray(elementType: type, count: count, offset: start, file: file)
    }

    private mutating func truth() throws(ModelFileError) -> Bool {
        let raw: UInt8 = try integer()
        guard raw <= 1 else { throw invalid("truth value \(raw) at byte \(offset - 1); 0 and 1 are allowed") }
        return raw == 1
    }

    func invalid(_ message: String) -> ModelFileError { ModelFileError(.invalid, file: file.path, message) }

    private func truncated(_ what: String) -> ModelFileError {
        ModelFileError(
            .truncated, file: file.path, "ends at byte \(file.count), but \(what) at byte \(offset); fetch it again")
    }
}
