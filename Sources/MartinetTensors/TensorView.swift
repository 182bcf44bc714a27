/// A read-only tensor over memory that something else owns: a mapped file, or an allocation.
///
/// The view keeps its owner alive. The bytes never change while the view exists, so it may be read from any thread.
public struct TensorView: @unchecked Sendable {
    // Sendable holds because the bytes are immutable and `owner` keeps them mapped.

    /// How the elements are stored.
    public let type: ElementType
    /// Dimensions, outermost first: a weight matrix is `[rows, columns]`, its rows contiguous.
    public let shape: [Int]
    /// The first byte; `byteCount` bytes are readable.
    public let bytes: UnsafeRawPointer
    /// Bytes in the whole tensor.
    public let byteCount: Int
    private let owner: any AnyObject & Sendable

    /// Makes a view of `bytes`, which `owner` keeps valid and unchanged.
    ///
    /// - Parameters:
    ///   - shape: dimensions, outermost first; each is positive.
    ///   - bytes: memory that holds the whole tensor.
    /// - Returns: `nil` where the shape is empty, overflows, or its rows are not whole blocks.
    public init?(type: ElementType, shape: [Int], bytes: UnsafeRawPointer, owner: any AnyObject & Sendable) {
        guard let columns = shape.last, shape.allSatisfy({ $0 > 0 }), let rowBytes = type.byteCount(elements: columns)
        else { return nil }
        var total = rowBytes
        for dimension in shape.dropLast() {
            let (product, overflow) = total.multipliedReportingOverflow(by: dimension)
            guard !overflow else { return nil }
            total = product
        }
        self.type = type
        self.shape = shape
        self.bytes = bytes
        self.byteCount = total
        self.owner = owner
    }

    /// Lets the system take back the memory of a tensor that will hardly be read again, where it can be read anew from a
    /// file; the bytes stay readable.
    public func releasePages() {
        (owner as? any PageReleasing)?.releasePages(UnsafeRawBufferPointer(start: bytes, count: byteCount))
    }

    /// Elements in a row: the innermost dimension.
    public var columns: Int { shape[shape.count - 1] }
    /// The product of all other dimensions.
    public var rows: Int { shape.dropLast().reduce(1, *) }
    /// Bytes from one row to the next.
    public var rowBytes: Int { byteCount / rows }
    /// The first byte of a row.
    public func row(_ index: Int) -> UnsafeRawPointer {
        precondition(index >= 0 && index < rows, "row \(index) of a tensor with \(rows) rows")
        return bytes + index * rowBytes
    }
}

/// An owner of memory that the system can drop and read again, such as a mapped file.
public protocol PageReleasing: AnyObject, Sendable {
    /// Drops the pages that `bytes` touches, which the owner holds; what is left on them stays readable too.
    func releasePages(_ bytes: UnsafeRawBufferPointer)
}
