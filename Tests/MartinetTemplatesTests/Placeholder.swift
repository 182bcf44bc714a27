import Testing

@Suite struct MartinetTemplatesPlaceholder {}
