/// Why a worker cannot be served or reached.
package struct WorkerProtocolError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is; new codes may come.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        /// The code's name.
        package let description: String

        /// An address that cannot be one.
        package static let invalidAddress = Code(description: "invalid_address")
        /// Something else answers there, or a file lies there that is no socket.
        package static let addressInUse = Code(description: "address_in_use")
        /// The system refused the socket.
        package static let socketFailed = Code(description: "socket_failed")
        /// Nothing answers, or not in time, or not with our certificates.
        package static let unreachable = Code(description: "unreachable")
        /// The peer speaks another version, or says what makes no sense.
        package static let protocolViolation = Code(description: "protocol_violation")
    }
    /// What kind of error it is.
    package var code: Code
    /// What is wrong with which address or message, and what to do.
    package var message: String

    /// Makes an error.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { message }
}
