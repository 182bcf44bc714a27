import Foundation

/// An error that ends a command, in plain words.
struct CommandFailure: LocalizedError, CustomStringConvertible {
    let description: String
    var errorDescription: String? { description }

    init(_ description: String) {
        self.description = description
    }
}
