// A Swift program with a language model inside: no server, no network.
//
//     swift run -c release embed MODEL.gguf "Why is the sky blue?"
import Foundation
import MartinetEngine
import MartinetModels

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
    print("usage: embed MODEL.gguf QUESTION")
    exit(64)
}

let engine = try InferenceEngine(model: LoadedModel.load(path: arguments[1]))
let prompt = try engine.chatPrompt(messages: [.message(role: "user", content: arguments[2])])

var sampling = SamplingParameters()
sampling.temperature = 0.2
sampling.topP = 0.9
sampling.maxTokens = 200

for try await events in try engine.generate(InferenceRequest(id: "example", prompt: prompt, sampling: sampling)) {
    for case .output(let delta) in events {
        print(delta.text, terminator: "")
        fflush(nil)
    }
}
print()
await engine.shutdown()
