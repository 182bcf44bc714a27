internal import MartinetJSON

extension ServerSentEvents {
    /// Writes an event with a name, whose data is an object that begins with the name as its `type`.
    static func write(
        _ name: StaticString, to writer: inout JSONWriter, _ members: (inout JSONWriter) -> Void = { _ in }
    ) {
        writer.raw("event: ")
        writer.raw(name)
        writer.raw("\ndata: ")
        writer.object { writer in
            writer.field("type", "\(name)")
            members(&writer)
        }
        writer.raw("\n\n")
    }
}
