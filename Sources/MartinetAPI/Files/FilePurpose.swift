/// What a file is for, as `/v1/files` names it.
public enum FilePurpose: String, Sendable, Hashable, CaseIterable {
    /// Requests of a batch, one JSON object a line.
    case batch
    /// What a batch wrote. Only the server makes such files.
    case batchOutput = "batch_output"
    /// Anything that a client keeps here for itself.
    case userData = "user_data"
    /// The same, under the names that older clients use.
    case assistants, evals, vision
    case fineTune = "fine-tune"

    /// Whether clients may upload such files.
    public var isUploadable: Bool { self != .batchOutput }

    /// The purpose of a form's field.
    ///
    /// - Throws: ``APIError`` 400 where clients may not upload such files.
    public init(uploaded text: String) throws(APIError) {
        guard let purpose = FilePurpose(rawValue: text), purpose.isUploadable else {
            let names = Self.allCases.filter(\.isUploadable).map { "`\($0.rawValue)`" }.joined(separator: ", ")
            throw .invalid("purpose", "`purpose` must be one of \(names), got `\(text.prefix(64))`.")
        }
        self = purpose
    }
}
