import Foundation
import Hummingbird
import MartinetAPI
import MartinetJSON

/// A model that always counts to the same end, from wherever the text stands, as vLLM would stream it.
struct CountingModel: Sendable {
    var name = "alpha"
    var count = 30
    /// Tokens after which the connection breaks.
    var breaksAfter: Int?
    var end = MockServer.End.cut
    /// Sends half of the next event before it breaks.
    var halfEvent = false
    var pause = Duration.zero

    static func token(_ index: Int) -> String { " w\(index)\"\\\n😀é" }
    static func text(_ range: Range<Int>) -> String { range.map(token).joined() }

    func answer(_ call: MockServer.Call) throws -> Response {
        let isChat = call.path.hasSuffix("/chat/completions")
        var soFar: String
        if isChat {
            guard case .array(let messages)? = call.body["messages"] else { return MockServer.json("{}", status: 400) }
            soFar = ""
            if case .bool(true)? = call.body["continue_final_message"] {
                guard case .bool(false)? = call.body["add_generation_prompt"] else {
                    return MockServer.json("{}", status: 400)
                }
                soFar = messages.last?["content"]?.string ?? ""
            }
        } else {
            soFar = String((call.body["prompt"]?.string ?? "").dropFirst("Count:".count))
        }
        let done = soFar.components(separatedBy: " w").count - 1
        guard soFar == Self.text(0..<done) else { return MockServer.json("{}", status: 400) }
        let limit = (call.body["max_completion_tokens"] ?? call.body["max_tokens"])?.integer ?? count
        let last = min(count, done + limit)
        var parts: [String] = isChat ? [event(isChat, #"{"role":"assistant","content":""}"#)] : []
        for (sent, index) in (done..<last).enumerated() {
            if let breaksAfter, sent >= breaksAfter {
                if halfEvent { parts.append(String(event(isChat, content(isChat, Self.token(index))).prefix(40))) }
                return MockServer.stream(parts, pause: pause, end: end)
            }
            parts.append(event(isChat, content(isChat, Self.token(index))))
        }
        if last - done == breaksAfter { return MockServer.stream(parts, pause: pause, end: end) }
        parts.append(event(isChat, isChat ? "{}" : #""""#, finish: last == count ? "stop" : "length"))
        if case .bool(true)? = call.body["stream_options"]?["include_usage"] {
            let usage =
                #"{"prompt_tokens":\#(5 + done),"completion_tokens":\#(last - done),"total_tokens":\#(5 + last)}"#
            parts.append(
                "data: {\"id\":\"\(name)-1\",\"created\":1,\"model\":\"\(name)\",\"choices\":[],\"usage\":\(usage)}\n\n"
            )
        }
        parts.append("data: [DONE]\n\n")
        return MockServer.stream(parts, pause: pause)
    }

    private func content(_ isChat: Bool, _ text: String) -> String {
        var writer = JSONWriter()
        writer.value(text)
        let string = String(decoding: writer.bytes, as: UTF8.self)
        return isChat ? "{\"content\":\(string)}" : string
    }

    private func event(_ isChat: Bool, _ content: String, finish: String? = nil) -> String {
        let reason = finish.map { "\"\($0)\"" } ?? "null"
        return
            "data: {\"id\":\"\(name)-1\",\"object\":\"chunk\",\"created\":1,\"model\":\"\(name)\",\"choices\":[{\"index\":0,"
            + "\"\(isChat ? "delta" : "text")\":\(content),\"logprobs\":null,\"finish_reason\":\(reason)}]}\n\n"
    }
}
