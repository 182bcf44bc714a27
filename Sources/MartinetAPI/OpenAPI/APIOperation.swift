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
        var type = "string"
        var example: String
    }

    /// The HTTP method, in lower case.
    var method = "post"
    /// The path, its parameters in braces.
    var path: String
    /// The surface that it belongs to.
    var tag: String
    /// What it does, in a line.
    var summary: String
    /// Parameters of the path and the query.
    var parameters: [Parameter] = []
    /// Bodies that it takes, as JSON. Together they hold every member that has members of its own.
    var examples: [String] = []
    /// Decodes a body; `nil` where there is none.
    var decode: Decoder?
    /// An answer, as JSON; `nil` where it is no JSON.
    var answer: String?
    /// The type of an answer that is no JSON.
    var answerType = "application/json"
    /// Whether the answer may be a stream of server-sent events.
    var streams = false
    /// Statuses beside 200 that it may answer with.
    var failures: [Int] = [400]
}

/// The model for which the document is made: its decoders need one, and say the same for any.
extension ServedModel {
    static let described = ServedModel(
        names: ["model"], root: "model", created: 0, maxModelLength: 8192, tokenizer: DescribedTokenizer())
}
