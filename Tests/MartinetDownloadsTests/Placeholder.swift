import Testing

@Suite struct MartinetDownloadsPlaceholder {}
