internal import CMartinetKernels

/// A processor's instruction set that kernels are built for, such as `avx512-vnni`.
public struct InstructionSet: Sendable, Hashable, CustomStringConvertible {
    /// The kernels' number of it (`MK_ISA_…`).
    package let code: Int32

    /// Its name.
    public var description: String { String(cString: mk_isa_name(code)) }

    /// Those that this machine and this build have; `scalar` is always among them.
    public static var available: [InstructionSet] {
        (0..<Int32(MK_ISA_COUNT)).filter { mk_kernels_for($0) != nil }.map(InstructionSet.init(code:))
    }

    private init(code: Int32) { self.code = code }

    /// Takes one by its name.
    ///
    /// - Returns: `nil` for `auto`, which leaves the choice to the machine.
    /// - Throws: ``ModelError`` with the names there are, where this machine has none of that name.
    public static func named(_ name: String) throws(ModelError) -> InstructionSet? {
        guard name != "auto" else { return nil }
        guard let found = available.first(where: { $0.description == name }) else {
            let names = available.map(\.description).joined(separator: ", ")
            throw ModelError(
                .invalidSetting,
                "the instruction set must be auto or one that this machine has (\(names)), not `\(name)`")
        }
        return found
    }
}
