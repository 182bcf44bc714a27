/// Byte strings numbered from 0, kept end to end in one buffer, and found again by open addressing.
///
/// Keys are compared as bytes: `String` equality follows canonical equivalence, under which two tokens of a real
/// vocabulary (a letter composed and decomposed) would be one.
package struct SpellingTable: Sendable {
    private var storage: [UInt8] = []
    private var ends: [UInt32] = []
    private var slots: [Int32] = []

    /// Builds the table. Empty spellings are holes: they have an id but are never found.
    ///
    /// - Parameters:
    ///   - spellings: The byte strings, by id; together less than 2 GiB.
    ///   - isIndexed: Whether ``find(_:)`` may return this id.
    /// - Throws: `invalidDefinition` for two indexed spellings that are the same bytes, or far too much text.
    package init(
        _ spellings: some Collection<some Collection<UInt8>>, isIndexed: (Int) -> Bool = { _ in true }
    ) throws(TokenizerError) {
        ends.reserveCapacity(spellings.count)
        storage.reserveCapacity(spellings.reduce(0) { $0 + $1.count })
        for spelling in spellings {
            storage.append(contentsOf: spelling)
            guard storage.count < Int(Int32.max) else {
                throw TokenizerError(.invalidDefinition, "the spellings of all tokens exceed 2 GiB")
            }
            ends.append(UInt32(storage.count))
        }
        let indexed = (0..<ends.count).count(where: isIndexed)
        var capacity = 16
        while capacity < indexed * 2 { capacity *= 2 }
        slots = [Int32](repeating: -1, count: capacity)
        let mask = capacity - 1
        for id in 0..<ends.count where isIndexed(id) {
            let range = range(of: id)
            if range.isEmpty { continue }
            let earlier = storage.withUnsafeBufferPointer { bytes -> Int32? in
                let key = UnsafeBufferPointer(rebasing: bytes[range])
                var slot = Self.hash(key) & mask
                while slots[slot] >= 0 {
                    if matches(slots[slot], key, bytes) { return slots[slot] }
                    slot = (slot + 1) & mask
                }
                slots[slot] = Int32(id)
                return nil
            }
            if let earlier {
                let text = String(decoding: storage[range], as: UTF8.self)
                throw TokenizerError(.invalidDefinition, "tokens \(earlier) and \(id) are both spelled \"\(text)\"")
            }
        }
    }

    /// How many byte strings there are.
    package var count: Int { ends.count }

    /// The bytes of an id, which must be less than `count`.
    package subscript(_ id: Int) -> ArraySlice<UInt8> { storage[range(of: id)] }

    /// The length in bytes of an id's spelling.
    package func length(of id: Int) -> Int { range(of: id).count }

    /// The id that is spelled so.
    package func find(_ key: UnsafeBufferPointer<UInt8>) -> Int32? {
        if key.isEmpty { return nil }
        let mask = slots.count - 1
        return storage.withUnsafeBufferPointer { bytes in
            var slot = Self.hash(key) & mask
            while true {
                let id = slots[slot]
                if id < 0 { return nil }
                if matches(id, key, bytes) { return id }
                slot = (slot + 1) & mask
            }
        }
    }

    /// The id that is spelled so.
    package func find(_ text: String) -> Int32? {
        var text = text
        return text.withUTF8 { find($0) }
    }

    @inline(__always)
    private func range(of id: Int) -> Range<Int> {
        (id == 0 ? 0 : Int(ends[id - 1]))..<Int(ends[id])
    }

    @inline(__always)
    private func matches(
        _ id: Int32, _ key: UnsafeBufferPointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        let range = range(of: Int(id))
        guard range.count == key.count else { return false }
        var index = 0
        while index < key.count {
            if bytes[range.lowerBound + index] != key[index] { return false }
            index += 1
        }
        return true
    }

    /// FNV-1a with a final mix, because the low bits choose the slot.
    @inline(__always)
    private static func hash(_ key: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return Int(truncatingIfNeeded: hash ^ (hash >> 29))
    }
}
