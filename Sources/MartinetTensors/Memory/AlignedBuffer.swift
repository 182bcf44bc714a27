import Glibc

/// Memory could not be reserved.
public struct AllocationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Elements that were asked for.
    public var count: Int
    /// Bytes of one element.
    public var stride: Int

    /// What was asked for, and what to do.
    public var description: String {
        "cannot reserve memory for \(count) elements of \(stride) bytes: ask for less context, fewer concurrent "
            + "requests or a smaller model, or run on a machine with more memory"
    }
}

/// Memory of a fixed size that is freed with its owner: scratch space and key/value pools.
///
/// The memory is aligned to a page (so to 64 bytes), reads as zeros at first and takes up physical memory only where it
/// has been touched. A size that the system cannot give is an error, not a trap.
///
/// ```swift
/// let scratch = try AlignedBuffer<Float>(count: tokens * width)
/// scratch.pointer[0] = 1
/// ```
///
/// Access is not checked or synchronised: the owner decides which thread writes which part.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    // Sendable holds because the address and the size never change; whoever writes elements from several threads
    // gives each its own part, as with any unsafe pointer.

    /// The first element.
    public let pointer: UnsafeMutablePointer<Element>
    /// Elements in the buffer.
    public let count: Int
    private let mapped: Int

    /// Reserves zeroed memory.
    ///
    /// - Parameter count: elements, 0 or more.
    /// - Throws: ``AllocationError`` where `count` is negative or the memory cannot be had.
    public init(count: Int) throws(AllocationError) {
        let stride = MemoryLayout<Element>.stride
        let (bytes, overflow) = count.multipliedReportingOverflow(by: stride)
        guard count >= 0, !overflow, bytes <= Int.max - 4096 else {
            throw AllocationError(count: count, stride: stride)
        }
        let mapped = max(bytes, 1)
        let address = mmap(nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address, address != MAP_FAILED else { throw AllocationError(count: count, stride: stride) }
        self.pointer = address.bindMemory(to: Element.self, capacity: count)
        self.count = count
        self.mapped = mapped
    }

    deinit {
        munmap(pointer, mapped)
    }

    /// Bytes that the elements take.
    public var byteCount: Int { count * MemoryLayout<Element>.stride }

    /// All elements.
    public var elements: UnsafeMutableBufferPointer<Element> {
        UnsafeMutableBufferPointer(start: pointer, count: count)
    }

    /// Asks the system for huge pages, which it may refuse: large memory that is read through and through needs fewer
    /// address translations then. What follows the last whole one keeps small pages, so that none is touched in vain.
    public func adviseHugePages() {
        let size = 2 << 20
        let whole = (Int(bitPattern: pointer) + mapped) / size * size - Int(bitPattern: pointer)
        if whole > 0 { _ = madvise(pointer, whole, Int32(MADV_HUGEPAGE)) }
    }

    /// Sets every byte to zero.
    public func zero() {
        memset(pointer, 0, byteCount)
    }
}
