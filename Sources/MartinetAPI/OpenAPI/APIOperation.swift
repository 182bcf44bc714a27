internal import MartinetJSON

/// A route as the API's document tells it. What its body may hold comes from its decoder.
public struct APIOperation: Sendable {
    /// Decodes a body as the route does.
    typealias Decoder = @Sendable (JSONBody, ServedModel) throws(APIError) -> Void

    /// A parameter in the path or the query.
    struct Parameter: Sendable {
        var name: String
        var place = "path"
        var description: String
        /// Its JSON Schema.
        var schema = #"{"type": "string"}"#
        var example: String
    }

    /// A body that no decoder of JSON reads.
    struct OtherBody: Sendable {
        var type: String
        /// Its JSON Schema.
        var schema: String
        var example: String
    }

    /// The HTTP method, in lower case.
    public internal(set) var method = "post"
    /// The path, its parameters in braces.
    public internal(set) var path: String
    /// The surface that it belongs to.
    var tag: String
    /// What it does, in a line.
    var summary: String
    /// Parameters of the path and the query.
    var parameters: [Parameter] = []
    /// Bodies that it takes, as JSON. Together they hold every member that has members of its own.
    var examples: [String] = []
    /// Decodes a body; `nil` where there is none, or another.
    var decode: Decoder?
    /// The body where it is not of that kind.
    var otherBody: OtherBody?
    /// The status of success; `nil` where there is none yet.
    var success: Int? = 200
    /// Answers, as JSON, which together show what may be absent or null; none where they are no JSON.
    var answers: [String] = []
    /// The type of an answer; `nil` where it has no body.
    var answerType: String? = "application/json"
    /// Whether the answer may be a stream of server-sent events.
    var streams = false
    /// Statuses that come with a body like that of success.
    var alike: [Int] = []
    /// Further statuses that it may answer with.
    var failures: [Int] = []

    /// Whether it takes a body.
    var takesBody: Bool { decode != nil || otherBody != nil }

    /// All that a server may have.
    public static let all =
        native + openAI + responses + anthropic + files + batches + openInference + scores + status + administration
}

/// The model for which the document is made: its decoders need one, and say the same for any.
extension ServedModel {
    static let described = ServedModel(
        names: ["model"], root: "model", created: 0, maxModelLength: 8192, tokenizer: DescribedTokenizer())
}
