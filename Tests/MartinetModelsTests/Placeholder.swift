import Testing

@Suite struct MartinetModelsPlaceholder {}
