internal import MartinetEngine

extension WireFailure {
    init(_ error: EngineError) {
        code = error.code.description
        message = error.message
        if let name = error.parameter { parameter = name }
    }
}

extension EngineError {
    init(_ wire: WireFailure) {
        self.init(
            Code(description: wire.code), wire.message, parameter: wire.hasParameter ? wire.parameter : nil)
    }
}
