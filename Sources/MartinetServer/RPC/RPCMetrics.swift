internal import GRPCCore
internal import MartinetTelemetry

/// Metrics of calls over gRPC. Names and labels are those of the interceptors that gRPC servers have in other languages.
struct RPCMetrics: Sendable {
    private let calls: MetricFamily<MetricCounter>
    private let durations: MetricFamily<MetricHistogram>

    init(_ registry: MetricsRegistry) {
        calls = MetricFamily { values in
            registry.counter(
                "grpc_server_handled_total", help: "Calls over gRPC that ended.",
                labels: [
                    (name: "grpc_service", value: values[0]), (name: "grpc_method", value: values[1]),
                    (name: "grpc_code", value: values[2]),
                ])
        }
        durations = MetricFamily { values in
            registry.histogram(
                "grpc_server_handling_seconds", help: "Time from a call over gRPC to its end.",
                labels: [(name: "grpc_service", value: values[0]), (name: "grpc_method", value: values[1])],
                bounds: ServerMetrics.fineBounds)
        }
    }

    func handled(_ method: MethodDescriptor, _ code: Status.Code, seconds: Double) {
        let service = method.service.fullyQualifiedService
        calls(service, method.method, code.metricName).increment()
        durations(service, method.method).observe(seconds)
    }
}

extension Status.Code {
    /// As other servers spell it: `OK`, `InvalidArgument`.
    fileprivate var metricName: String {
        switch self {
        case .ok: return "OK"
        case .internalError: return "Internal"
        default:
            let name = "\(self)"
            return name.prefix(1).uppercased() + name.dropFirst()
        }
    }
}
