import Testing

@Suite struct MartinetTelemetryPlaceholder {}
