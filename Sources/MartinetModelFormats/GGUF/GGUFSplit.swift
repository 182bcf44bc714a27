/// Models that are split into several GGUF files, as `gguf-split` writes them: `NAME-00001-of-00003.gguf`.
///
/// Each part names its number (`split.no`, from 0) and how many there are (`split.count`); the first has the metadata.
enum GGUFSplit {
    /// More parts than any model has; a bound on how many files one header can make us open.
    static let maxParts = 1000

    /// The paths of the second and later parts; none for a model in one file.
    static func otherPaths(of first: GGUFPart) throws(ModelFileError) -> [String] {
        let path = first.file.path
        guard let value = first.metadata["split.count"] else { return [] }
        guard let count = value.int, (0...maxParts).contains(count) else {
            throw ModelFileError(.invalid, file: path, "split.count is not a number from 0 to \(maxParts)")
        }
        guard count > 1 else { return [] }
        guard let (stem, number) = stem(of: path, count: count) else {
            throw ModelFileError(
                .invalid, file: path,
                "is one of \(count) parts, but its name does not end in \(suffix(1, of: count)); restore its name")
        }
        guard number == 1, first.metadata["split.no"]?.int ?? 0 == 0 else {
            throw ModelFileError(
                .invalid, file: path,
                "is part \(number) of \(count); open the first part, \(stem)\(suffix(1, of: count))")
        }
        return (2...count).map { stem + suffix($0, of: count) }
    }

    static func check(_ part: GGUFPart, number: Int, of first: GGUFPart) throws(ModelFileError) {
        guard part.metadata["split.no"]?.int == number,
            part.metadata["split.count"]?.int == first.metadata["split.count"]?.int
        else {
            throw ModelFileError(
                .invalid, file: part.file.path,
                "is named as part \(number + 1) of \(first.file.path), but its metadata says otherwise")
        }
    }

    static func checkTotal(_ count: Int, of first: GGUFPart) throws(ModelFileError) {
        guard let total = first.metadata["split.tensors.count"]?.int, total != count else { return }
        throw ModelFileError(
            .invalid, file: first.file.path, "announces \(total) tensors in all parts, which hold \(count)")
    }

    /// Whether a file name is that of a second or later part.
    static func isLaterPart(_ name: String) -> Bool {
        let fields = name.split(separator: "-", omittingEmptySubsequences: false)
        guard name.hasSuffix(".gguf"), fields.count >= 4, fields[fields.count - 2] == "of",
            let number = Int(fields[fields.count - 3]), Int(fields[fields.count - 1].dropLast(5)) != nil
        else { return false }
        return number > 1
    }

    /// The path without `-0000I-of-0000N.gguf`, and I.
    private static func stem(of path: String, count: Int) -> (String, Int)? {
        let end = "-of-\(padded(count)).gguf"
        guard path.hasSuffix(end) else { return nil }
        let start = path.dropLast(end.count)
        let digits = start.suffix(5)
        guard digits.count == 5, digits.allSatisfy(\.isASCII), let number = Int(digits),
            start.dropLast(5).hasSuffix("-"), (1...count).contains(number)
        else { return nil }
        return (String(start.dropLast(6)), number)
    }

    private static func suffix(_ number: Int, of count: Int) -> String { "-\(padded(number))-of-\(padded(count)).gguf" }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
