import MartinetTensors
import Testing

@Suite struct AlignedBufferTests {
    @Test(arguments: [0, 1, 15, 1 << 20])
    func startsAlignedAndZero(count: Int) throws {
        let buffer = try AlignedBuffer<Float>(count: count)
        #expect(buffer.count == count)
        #expect(UInt(bitPattern: buffer.pointer) % 64 == 0)
        #expect(buffer.elements.allSatisfy { $0 == 0 })
        for index in 0..<count { buffer.pointer[index] = 1 }
        buffer.zero()
        #expect(buffer.elements.allSatisfy { $0 == 0 })
    }

    @Test(arguments: [-1, Int.min, Int.max, Int.max / 4, 1 << 58])
    func impossibleSizesThrow(count: Int) {
        #expect(throws: AllocationError.self) { try AlignedBuffer<Float>(count: count) }
    }
}
