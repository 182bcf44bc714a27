import MartinetModels
import Testing

@Suite struct InstructionSetTests {
    @Test func findsEveryOneByItsName() throws {
        #expect(InstructionSet.available.contains { $0.description == "scalar" })
        #expect(Set(InstructionSet.available.map(\.description)).count == InstructionSet.available.count)
        for set in InstructionSet.available {
            #expect(try InstructionSet.named(set.description) == set)
        }
        #expect(try InstructionSet.named("auto") == nil)
    }

    @Test(arguments: ["", "avx", "AVX2", "unknown"]) func namesWhatThereIs(name: String) throws {
        let error = try #require(throws: ModelError.self) { try InstructionSet.named(name) }
        #expect(error.code == .invalidSetting)
        #expect(error.message.contains("`\(name)`"))
        for set in InstructionSet.available { #expect(error.message.contains(set.description)) }
    }
}
