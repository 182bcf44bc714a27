/// SplitMix64: the same mutations on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension [UInt8] {
    /// A copy with a few bytes changed, cut or doubled, or with a number set to an extreme.
    func mutated(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = self
        for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
            case 2: bytes.removeLast(bytes.count - place)
            case 3: bytes.remove(at: place)
            case 4: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            default:
                let extreme: UInt64 =
                    [0, 1, UInt64.max, UInt64(Int64.max), 1 << 63, 1 << 32, 1 << 31, UInt64(bytes.count)]
                    .randomElement(using: &generator) ?? 0
                for index in 0..<Swift.min(8, bytes.count - place) {
                    bytes[place + index] = UInt8(truncatingIfNeeded: extreme >> (8 * UInt64(index)))
                }
            }
        }
        return bytes
    }
}
