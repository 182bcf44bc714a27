extension OutputConstraint {
    /// The one of two that a request gives; a surface's own field, and those that all surfaces share.
    ///
    /// - Throws: ``APIError`` 400 where there are both, or it cannot be used.
    static func one(_ own: OutputConstraint?, _ shared: OutputConstraint?) throws(APIError) -> OutputConstraint? {
        if let own, let shared {
            throw .invalid(
                shared.parameter, "Give only one of `\(own.parameter)` and `\(shared.parameter)`.")
        }
        try own?.check()
        return own ?? shared
    }
}
