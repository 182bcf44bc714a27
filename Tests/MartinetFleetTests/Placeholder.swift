// Holds the module until its first test.
