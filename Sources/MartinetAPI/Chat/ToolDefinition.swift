public import MartinetJSON
internal import MartinetTemplates

/// A function that the model may call.
public struct ToolDefinition: Sendable {
    /// Its name.
    public var name: String
    /// What it is for.
    public var description: String?
    /// A JSON Schema of its arguments; `nil` where it takes none.
    public var parameters: JSONValue?
    /// Whether arguments must keep the schema.
    public var strict: Bool

    /// Describes a function.
    public init(name: String, description: String? = nil, parameters: JSONValue? = nil, strict: Bool = false) {
        self.name = name
        self.description = description
        self.parameters = parameters
        self.strict = strict
    }

    /// As chat templates see it: OpenAI's form.
    var templateValue: TemplateValue {
        var function: [(key: String, value: TemplateValue)] = [(key: "name", value: .string(name))]
        if let description { function.append((key: "description", value: .string(description))) }
        if let parameters { function.append((key: "parameters", value: parameters.templateValue)) }
        return .object([(key: "type", value: .string("function")), (key: "function", value: .object(function))])
    }
}

/// Whether the model may or must call functions.
public enum ToolChoice: Sendable, Hashable {
    /// As the model likes.
    case auto
    /// It must not.
    case none
    /// It must, whichever it likes.
    case required
    /// It must call this one.
    case named(String)
}
