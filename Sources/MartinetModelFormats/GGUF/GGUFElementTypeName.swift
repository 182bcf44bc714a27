/// Names of the tensor types in GGUF files that we do not read, for messages.
enum GGUFElementTypeName {
    /// What is wrong with a type number that is not an `ElementType`.
    static func problem(with raw: UInt32) -> String {
        if let name = removed[raw] {
            return "has type \(name) (\(raw)), which the format has removed; convert the model again"
        }
        if let name = unsupported[raw] {
            return "has type \(name) (\(raw)), which Martinet does not read; take another quantisation of the model"
        }
        return "has the unknown type \(raw)"
    }

    private static let removed: [UInt32: String] = [
        4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
        38: "IQ4_NL_8_8",
    ]

    private static let unsupported: [UInt32: String] = [
        9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
        24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
        40: "NVFP4",
    ]
}
