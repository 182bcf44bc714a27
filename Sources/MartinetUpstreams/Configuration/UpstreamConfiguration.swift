/// An OpenAI-compatible server, or several that are found under one name, as members of a pool.
package struct UpstreamConfiguration: Sendable, Hashable {
    /// Where the members come from.
    package enum Discovery: String, Sendable, Hashable, Decodable {
        /// The address itself is the one member.
        case fixed
        /// Every address that DNS has for the host is a member.
        case dns
        /// Every line of a file is a member's address.
        case file
    }

    /// How idle members are asked whether they still generate.
    package struct Probe: Sendable, Hashable {
        /// Whether they are asked.
        package var isEnabled = true
        /// How long a member may be idle before it is asked, and the pause between two questions.
        package var interval = Duration.seconds(15)
        /// How long it may take to answer.
        package var timeout = Duration.seconds(10)
        /// The model to generate one token with. Without it, the first of `models`; without those the probe only lists
        /// the upstream's models.
        package var model: String?
        /// Where to ask: `/v1/completions` or `/v1/chat/completions`.
        package var path = "/v1/completions"

        /// The usual probe.
        package init() {}
    }

    /// The name in logs, metrics and the `x-martinet-upstream` header; the host and port where not given.
    package var name: String?
    /// The base address, with or without `/v1`; for `dns` the host that is looked up. Not used with `file`.
    package var url = ""
    /// Where the members come from.
    package var discovery = Discovery.fixed
    /// The file of addresses, one a line.
    package var membersFile: String?
    /// How often names are looked up and the file is looked at.
    package var refreshInterval = Duration.seconds(5)
    /// The environment variable that holds the API key.
    package var keyVariable: String?
    /// The file that holds the API key; read again when it changes.
    package var keyFile: String?
    /// Headers that every request gets.
    package var headers: [String: String] = [:]
    /// The upstream's names of models, by the names that clients use. Other names go through as they are.
    package var models: [String: String] = [:]
    /// The longest wait for a connection.
    package var connectTimeout = Duration.seconds(3)
    /// The longest wait for the first token of a stream.
    package var firstTokenTimeout = Duration.seconds(60)
    /// The longest pause inside a stream.
    package var idleTimeout = Duration.seconds(30)
    /// The longest a request may take as a whole.
    package var totalTimeout = Duration.seconds(600)
    /// Requests that each member may have at once.
    package var maxConcurrent = 256
    /// Whether a member may continue a text that another one began: it must take `continue_final_message`.
    package var allowsContinuation = false
    /// Whether streams are asked for their usage where the client did not ask.
    package var asksForUsage = true
    /// How idle members are asked.
    package var probe = Probe()

    /// A server at an address.
    package init(url: String) {
        self.url = url
    }

    /// Finds what cannot be used.
    ///
    /// - Throws: ``UpstreamConfigurationError`` that names the field.
    package func validate() throws {
        typealias Problem = UpstreamConfigurationError
        if let name {
            try Problem.check(
                !name.isEmpty && name.utf8.count <= 128 && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "name",
                "must have 1 to 128 visible ASCII characters without spaces")
        }
        if discovery == .file {
            try Problem.check(membersFile?.isEmpty == false, "members_file", "must be given with `discovery: file`")
            try Problem.check(url.isEmpty, "url", "must not be given with `discovery: file`")
        } else {
            try Problem.check(membersFile == nil, "members_file", "is only used with `discovery: file`")
            let address = try UpstreamAddress(url)
            if discovery == .dns {
                try Problem.check(
                    address.scheme == "http", "url", "must be http with `discovery: dns`: members are called by address"
                )
            }
        }
        try Problem.check(keyVariable == nil || keyFile == nil, "api_key_file", "must not be given with `api_key_env`")
        for (header, value) in headers {
            try Problem.check(
                HeaderRules.isName(header) && HeaderRules.isValue(value)
                    && header.utf8.count + value.utf8.count <= 8192,
                "headers", "has `\(header.prefix(64))`, which is not a header")
            try Problem.check(
                !HeaderRules.isOurs(header), "headers", "must not have `\(header)`: it is set for each request")
        }
        try Problem.check(
            models.allSatisfy { !$0.key.isEmpty && !$0.value.isEmpty }, "models", "must not have empty names")
        try Problem.check(refreshInterval, "refresh_interval", from: .milliseconds(10), to: .seconds(3600))
        try Problem.check(connectTimeout, "connect_timeout", to: .seconds(300))
        try Problem.check(firstTokenTimeout, "first_token_timeout", to: .seconds(86_400))
        try Problem.check(idleTimeout, "idle_timeout", to: .seconds(86_400))
        try Problem.check(totalTimeout, "total_timeout", to: .seconds(86_400))
        try Problem.check(
            (1...1_000_000).contains(maxConcurrent), "max_concurrent", "must be 1 or more, but is \(maxConcurrent)")
        try Problem.check(probe.interval, "probe.interval", from: .milliseconds(10), to: .seconds(86_400))
        try Problem.check(probe.timeout, "probe.timeout", to: .seconds(3600))
        try Problem.check(
            RequestKind(path: probe.path) != .other, "probe.path",
            "must be /v1/completions or /v1/chat/completions, but is \(probe.path)")
    }
}

extension UpstreamConfiguration: Decodable {
    /// Reads the configuration's object; unknown members are refused. Times are in seconds.
    package init(from decoder: any Decoder) throws {
        var fields = try StrictFields(decoder)
        try fields.read("name", into: &name)
        try fields.read("url", into: &url)
        try fields.read("discovery", into: &discovery)
        try fields.read("members_file", into: &membersFile)
        try fields.readSeconds("refresh_interval", into: &refreshInterval)
        try fields.read("api_key_env", into: &keyVariable)
        try fields.read("api_key_file", into: &keyFile)
        try fields.read("headers", into: &headers)
        try fields.read("models", into: &models)
        try fields.readSeconds("connect_timeout", into: &connectTimeout)
        try fields.readSeconds("first_token_timeout", into: &firstTokenTimeout)
        try fields.readSeconds("idle_timeout", into: &idleTimeout)
        try fields.readSeconds("total_timeout", into: &totalTimeout)
        try fields.read("max_concurrent", into: &maxConcurrent)
        try fields.read("allow_continuation", into: &allowsContinuation)
        try fields.read("ask_for_usage", into: &asksForUsage)
        try fields.read("probe", into: &probe)
        try fields.finish()
    }
}

extension UpstreamConfiguration.Probe: Decodable {
    /// Reads the object `probe`.
    package init(from decoder: any Decoder) throws {
        var fields = try StrictFields(decoder)
        try fields.read("enabled", into: &isEnabled)
        try fields.readSeconds("interval", into: &interval)
        try fields.readSeconds("timeout", into: &timeout)
        try fields.read("model", into: &model)
        try fields.read("path", into: &path)
        try fields.finish()
    }
}
