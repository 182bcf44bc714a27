// Holds the module until its first type.
