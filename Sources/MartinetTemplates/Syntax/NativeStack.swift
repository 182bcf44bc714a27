/// Guards the calling thread's stack: recursion stops before it runs out, on whatever thread a caller renders.
struct NativeStack {
    private let origin: UInt
    private let bytes: Int
    private static let implausible = 8 << 20

    init(bytes: Int) {
        origin = Self.position()
        self.bytes = bytes
    }

    /// Whether more than the allowed bytes lie between here and where the guard was made.
    var isExhausted: Bool {
        let used = Int(truncatingIfNeeded: origin &- Self.position())
        // Under a sanitizer locals may live away from the stack: a distance that makes no sense says nothing.
        return used > bytes && used < Self.implausible
    }

    @inline(never)
    private static func position() -> UInt {
        var marker: UInt8 = 0
        return withUnsafeMutablePointer(to: &marker) { UInt(bitPattern: $0) }
    }
}
