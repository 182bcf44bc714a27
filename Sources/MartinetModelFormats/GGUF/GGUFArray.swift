/// An array in a GGUF file's metadata, left in the mapped file until it is asked for.
///
/// Vocabularies hold hundreds of thousands of strings; opening a file only walks over them to check their bounds.
public struct GGUFArray: Sendable {
    /// The type of each element.
    public let elementType: GGUFValueType
    /// How many elements there are.
    public let count: Int
    /// Where the first element starts in the file.
    package let offset: Int
    private let file: MappedFile

    /// Describes elements that the reader has walked over: every length inside is known to stay within the file.
    package init(elementType: GGUFValueType, count: Int, offset: Int, file: MappedFile) {
        self.elementType = elementType
        self.count = count
        self.offset = offset
        self.file = file
    }

    /// The strings of an array of strings, else `nil`. Invalid UTF-8 becomes U+FFFD; ``byteStrings`` keeps it.
    public var strings: [String]? {
        mapStrings { String(decoding: $0, as: UTF8.self) }
    }

    /// The strings of an array of strings as raw bytes, else `nil`.
    public var byteStrings: [[UInt8]]? {
        mapStrings { [UInt8]($0) }
    }

    /// The integers of an array of integers of any width that all fit `Int`, else `nil`.
    public var ints: [Int]? {
        switch elementType {
        case .uint8: map(UInt8.self) { Int($0) }
        case .int8: map(Int8.self) { Int($0) }
        case .uint16: map(UInt16.self) { Int(UInt16(littleEndian: $0)) }
        case .int16: map(Int16.self) { Int(Int16(littleEndian: $0)) }
        case .uint32: map(UInt32.self) { Int(exactly: UInt32(littleEndian: $0)) }
        case .int32: map(Int32.self) { Int(Int32(littleEndian: $0)) }
        case .uint64: map(UInt64.self) { Int(exactly: UInt64(littleEndian: $0)) }
        case .int64: map(Int64.self) { Int(exactly: Int64(littleEndian: $0)) }
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The numbers of an array of floats, or of integers, else `nil`.
    public var floats: [Float]? {
        switch elementType {
        case .float32: map(UInt32.self) { Float(bitPattern: UInt32(littleEndian: $0)) }
        case .float64: map(UInt64.self) { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
        default: ints?.map { Float($0) }
        }
    }

    /// The truth values of an array of them, else `nil`.
    public var bools: [Bool]? {
        elementType == .bool ? map(UInt8.self) { $0 != 0 } : nil
    }

    /// The inner arrays of an array of arrays, else `nil`.
    public var arrays: [GGUFArray]? {
        guard elementType == .array else { return nil }
        var cursor = GGUFCursor(file: file, offset: offset)
        var result: [GGUFArray] = []
        for _ in 0..<count {
            // The reader walked here before, so this cannot fail; `nil` is for the compiler.
            guard let inner = try? cursor.array(depth: 0) else { return nil }
            result.append(inner)
        }
        return result
    }

    /// The elements as they lie in the file.
    var elementBytes: UnsafeRawBufferPointer {
        var cursor = GGUFCursor(file: file, offset: offset)
        if let size = elementType.fixedSize {
            return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + count * size])
        }
        for _ in 0..<count {
            // The reader walked here before, so neither can fail.
            if elementType == .string { _ = try? cursor.stringBytes() } else { _ = try? cursor.array(depth: 0) }
        }
        return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<cursor.offset])
    }

    private func map<Raw: FixedWidthInteger, Element>(_: Raw.Type, _ transform: (Raw) -> Element?) -> [Element]? {
        var result: [Element] = []
        result.reserveCapacity(count)
        for index in 0..<count {
            let raw = file.bytes.loadUnaligned(fromByteOffset: offset + index * MemoryLayout<Raw>.size, as: Raw.self)
            guard let element = transform(raw) else { return nil }
            result.append(element)
        }
        return result
    }

    private func mapStrings<Element>(_ transform: (UnsafeRawBufferPointer) -> Element) -> [Element]? {
        guard elementType == .string else { return nil }
        var result: [Element] = []
        result.reserveCapacity(count)
        var cursor = GGUFCursor(file: file, offset: offset)
        for _ in 0..<count {
            guard let bytes = try? cursor.stringBytes() else { return nil }
            result.append(transform(bytes))
        }
        return result
    }
}
